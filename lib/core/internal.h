/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leaving: include the headers of the rooms instead. */
#ifndef ECBPF_INTERNAL_H
#define ECBPF_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/bpffs.h"
#include "bpf/constants.h"
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/loaded.h"
#include "bpf/lock.h"
#include "bpf/map.h"
#include "bpf/metadata.h"
#include "bpf/pins.h"
#include "bpf/probe.h"
#include "bpf/program.h"
#include "bpf/synchronize.h"
#include "chain/clean.h"
#include "chain/clear.h"
#include "chain/counters.h"
#include "chain/dispatcher.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "chain/probe.h"
#include "chain/set.h"
#include "core/bucket.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/time.h"
#include "core/util.h"
#include "fastpath/fastpath.h"
#include "filter/filter.h"

#define ecbpf_wait_for_packets ecbpf_synchronize
#define cleanup_close	       close_fd

#endif /* ECBPF_INTERNAL_H */
