// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the fast path, whose parts lie in several places. */
#include <errno.h>
#include <stdlib.h>
#include "core/handle.h"
#include "doctor/doctor.h"
#include "fastpath/fastpath.h"

#define NO_LEASES                                                                             \
	"it does not see packets that the kernel sends there: it grants no leases for them, " \
	"and a reset does not end a lease"

/* What they return is not known: a program may leave the decision to the next one */
static void check_earlier(struct doctor *d, const struct ecbpf_fastpath_port *port)
{
	_cleanup_free_ struct fastpath_earlier *items = NULL;
	struct ecbpf_finding *f;
	size_t count = 0;

	if (ecbpf_fastpath_earlier(d->e, port->ifindex, &items, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		f = finding_add(&d->found, ECBPF_WARNING, port->iface, "fastpath-earlier",
				"%s runs before the fast path's program at TC egress",
				items[i].text);
		finding_why(f, "packets for which it does not return TC_ACT_UNSPEC or TCX_NEXT "
			       "end there: no leases are granted for them, and a reset does not "
			       "end a lease");
	}
}

/* The XDP program is there, somewhere; so what it needs has to be */
static void check_fastpath_ports(struct doctor *d, const struct fastpath_diagnosis *diagnosis)
{
	struct ecbpf_finding *f;

	if (!diagnosis->is_on) {
		f = finding_add(
			&d->found, ECBPF_ERROR, "", "fastpath-off",
			"the fast path is loaded, and off: its load or unload was killed, or %s",
			"'ecbpf-loader' has loaded the stage without the rest of it");
		finding_why(f, "all packets are passed to IPVS");
		finding_fix(f, "ecbpf-fastpath unload");
		return;
	}
	for (size_t i = 0; i < diagnosis->ports_count; i++) {
		const struct ecbpf_fastpath_port *port = &diagnosis->ports[i];
		struct fastpath_obstacle obstacle;

		if (port->is_out && port->is_port && port->is_current) {
			check_earlier(d, port);
			continue;
		}
		if (fastpath_egress_obstacle(d->e, port->iface, port->ifindex, &obstacle)) {
			f = finding_add(&d->found, ECBPF_ERROR, port->iface, "fastpath-egress",
					"the fast path's program is not at TC egress: %s",
					obstacle.what);
			finding_why(f, NO_LEASES);
			finding_fix(f, "%s && ecbpf-fastpath refresh", obstacle.fix);
			continue;
		}
		if (!port->is_out) {
			f = finding_add(&d->found, ECBPF_ERROR, port->iface, "fastpath-egress",
					"the fast path's program at TC egress is gone");
			finding_why(f, NO_LEASES);
		} else if (!port->is_port) {
			f = finding_add(&d->found, ECBPF_WARNING, port->iface, "fastpath-port",
					"the fast path forwards nothing to it: a load was killed");
			finding_why(f, "packets that would leave by it are passed to IPVS");
		} else {
			f = finding_add(
				&d->found, ECBPF_WARNING, port->iface, "fastpath-version",
				"the fast path's program at TC egress is of another version");
			finding_why(f, "fixes of this version are not active");
		}
		finding_fix(f, "ecbpf-fastpath refresh");
	}
}

void doctor_check_fastpath(struct doctor *d)
{
	struct fastpath_diagnosis diagnosis = {};
	size_t count = d->found.count, in = 0;
	struct ecbpf_finding *f;
	int err;

	err = d->has_bpffs ? ecbpf_fastpath_diagnose(d->e, &diagnosis) : -ENOENT;
	/* none, or of another schema: that is told with the pins */
	if (err && err != -ENOENT && err != -EPROTO)
		finding_add(&d->found, ECBPF_ERROR, "", "fastpath",
			    "cannot examine the fast path: %.200s", d->e->error);
	if (err)
		return;
	for (size_t i = 0; i < diagnosis.ports_count; i++)
		in += diagnosis.ports[i].is_in;
	if (in) {
		check_fastpath_ports(d, &diagnosis);
	} else {
		f = finding_add(
			&d->found, ECBPF_WARNING, "", "fastpath-no-program",
			"the fast path's table exists (%llu MiB), but no interface has its XDP "
			"program",
			diagnosis.megabytes);
		finding_why(
			f,
			"nothing is forwarded; its load or unload was killed, or another tool has "
			"removed the program");
		finding_fix(f, "ecbpf-fastpath unload");
	}
	if (diagnosis.is_unfit) {
		f = finding_add(&d->found, ECBPF_WARNING, "", "fastpath-timeouts", "%s",
				diagnosis.text);
		finding_why(f, "IPVS may forget connections that the fast path forwards");
		finding_fix(f, "ecbpf-fastpath set inactive=%u sample=%u",
			    diagnosis.better.inactive_ms, diagnosis.better.sample_ms);
	}
	if (d->found.count == count)
		finding_add(&d->found, ECBPF_OK, "", "fastpath",
			    "the fast path is on %zu interface%s", in, in > 1 ? "s" : "");
	free(diagnosis.ports);
}
