/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a VMM needs no right to /dev/userfaultfd of its own: no udev rule, no device node in its
 * container, no entry in the device list of its control group.
 *
 * The device is opened while the daemon is root, and handed out as a descriptor to whoever may
 * connect to uffd.sock: its mode and group are api.sock's, as those of the device are where the
 * udev rule is installed. A userfaultfd belongs to the address space of whoever makes it, so the
 * descriptor of the device is all that can be handed over; it is no way to another process's
 * memory. Who has it can make userfaultfds that see faults of the kernel, which Linux keeps from
 * ordinary users because it makes some holes in kernels easier to use: that is why not everybody
 * gets it, and why nobody keeps a connection.
 *
 * Rejected: a message of the agent's wire. agent.sock is for everybody.
 */
#include "daemon/device.h"

#include <string.h>

#include "sys/cleanup.h"
#include "sys/sock.h"
#include "sys/uffd.h"

#define HANDED_A_TURN 16u

void device_open(struct daemon *d)
{
	d->device = uffd_device();
	if (d->device < 0)
		log_debug("the device of userfaultfds is not to be had (%s): agents see to it "
			  "themselves",
			  strerror(-d->device));
}

void device_hand_out(struct daemon *d)
{
	for (unsigned int i = 0; i < HANDED_A_TURN; i++) {
		_cleanup_close_ int fd = sys_unix_accept(d->device_sock);

		if (fd < 0)
			return;
		(void)sys_send_fds(fd, "u", 1, &d->device, 1);
	}
}

void device_close(struct daemon *d)
{
	loop_unwatch(&d->loop, &d->device_source);
	close_fd(&d->device_sock);
	close_fd(&d->device);
}
