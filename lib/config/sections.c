// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which sections there are, in the order in which they are applied and exported */
#include "config/conf.h"

const struct conf_section *const conf_sections[] = {
	&conf_section_interfaces, &conf_section_chain,	 &conf_section_stage,
	&conf_section_program,	  &conf_section_filter,	 &conf_section_fw,
	&conf_section_fastpath,	  &conf_section_sampler, NULL,
};
