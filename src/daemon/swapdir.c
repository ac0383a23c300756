/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM's swap file is made here, since the daemon has a folder for it and the VMM's user may have
 * none; it has no name, and goes with the VMM. Its content is the agent's: encrypted under a key
 * that is in the VMM's memory only, so neither the daemon nor who finds the disk can read it.
 *
 * Its cap is what can be in it at most: the VM's size less its reservation, as ESX has it. The
 * agent that has a file and gets another takes only the cap of it (wire.h), so a VM that grows is
 * told again.
 *
 * A folder in memory is refused (sys/nameless.c). A disk that is full or fails costs the reclaim:
 * the agent says so, and keeps the page.
 */
#include "daemon/swapdir.h"

#include <errno.h>
#include <string.h>

#include "daemon/session.h"
#include "sys/nameless.h"

#define RETRY_NS (60 * SEC)

const char *swapdir_of(const struct vm *vm)
{
	return *vm->swap_dir ? vm->swap_dir : vm->daemon->options->swap_dir;
}

static uint64_t cap_of(const struct vm *vm)
{
	uint64_t size = vm->pages * PS_PAGE_SIZE;
	uint64_t kept = (uint64_t)vm_setting(vm, SETTING_MEM_MIN) << 20;

	return size > kept ? size - kept : 0;
}

void swapdir_offer(struct vm *vm)
{
	struct daemon *d = vm->daemon;

	if (!vm->session || !cap_of(vm) || vm->memory.swap_cap == cap_of(vm) ||
	    !d->settings.value[SETTING_MEM_SWAP_ENABLE] || !*swapdir_of(vm) ||
	    (vm->memory.swap_at && d->now < vm->memory.swap_at))
		return;
	vm->session->say_swap = true;
	session_mark(vm->session);
}

void swapdir_retry(struct vm *vm)
{
	vm->memory.swap_at = 0;
	swapdir_offer(vm);
}

int swapdir_open(struct vm *vm, uint64_t *cap)
{
	int fd = sys_nameless_file(swapdir_of(vm));

	if (fd < 0) {
		if (vm->memory.swap_error != fd)
			log_warn("%s: no swap file in %s: %s", vm->name, swapdir_of(vm),
				 fd == -EMEDIUMTYPE ? "that is in memory" : strerror(-fd));
		vm->memory.swap_at = vm->daemon->now + RETRY_NS;
	}
	vm->memory.swap_error = fd < 0 ? fd : 0;
	*cap = cap_of(vm);
	return fd;
}

bool swapdir_ready(const struct vm *vm, const char **why)
{
	*why = NULL;
	if (!vm->daemon->settings.value[SETTING_MEM_SWAP_ENABLE])
		*why = "Mem.MemSwapEnable is 0";
	else if (!*swapdir_of(vm))
		*why = "there is no folder for swap files: pshared --swap-dir, or sched.swap.dir";
	else if (vm->memory.swap_error == -EMEDIUMTYPE)
		*why = "the folder for swap files is in memory: name one on a disk, sched.swap.dir";
	else if (vm->memory.swap_error)
		*why = "no file can be made in the folder for swap files; see the daemon's log";
	else if (!vm->memory.swap_cap)
		*why = "its agent has no swap file yet";
	return !*why;
}
