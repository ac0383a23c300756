/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HELLO: a connection becomes the session of a VM, one that is known and back again, or a new one.
 * Everything it says is checked before anything is made; what was made for a HELLO that fails after
 * all is taken back.
 */

#include "daemon/session-hello.h"

#include <errno.h>
#include <string.h>

#include "daemon/admission.h"
#include "daemon/balloon.h"
#include "daemon/member.h"
#include "daemon/rehome.h"
#include "daemon/secret.h"
#include "daemon/session-end.h"
#include "daemon/vm-end.h"
#include "daemon/vm-salt.h"
#include "daemon/vm.h"
#include "policy/reason.h"
#include "sys/cleanup.h"
#include "sys/sock.h"

/* The VM that this HELLO is of: one that we know, back again, or a new one. */
static int find_vm(struct session *s, int *pidfd, const struct ps_msg_hello *hello, struct vm **out,
		   bool *is_new)
{
	struct daemon *d = s->daemon;
	struct vm *vm = vm_find(d, hello->uuid);
	char why[PS_REASON_MAX];
	int r;

	if (vm && vm->pid == s->pid && vm->user == s->user && !vm_process_ended(vm)) {
		if (vm->session)
			session_end(vm->session);
		/* that may have been its end, if it held nothing */
		vm = vm_find(d, hello->uuid);
	} else if (vm && !vm_process_ended(vm)) {
		session_refuse(s, EEXIST, "another process has this VM's uuid");
		return -EPIPE;
	} else {
		vm = NULL;
		if (!(hello->flags & PS_HELLO_HOLDS_OLD))
			vm_end_former(d, s->user, s->pid);
	}
	if (vm) {
		if (vm->member) {
			list_add_tail(&vm->old, &vm->member->link);
			vm->nold++;
			vm->member = NULL;
		}
	} else if (!vm_has_room(d, s->user, s->pid, why)) {
		session_refuse(s, EUSERS, "%s", why);
		return -EPIPE;
	} else {
		r = vm_new(d, s->user, s->pid, pidfd, hello, &vm);
		if (r < 0) {
			session_refuse(s, -r, "no room for another VM: %s", strerror(-r));
			return -EPIPE;
		}
		*is_new = true;
	}
	*out = vm;
	return 0;
}

static int take_salt(struct session *s, struct vm *vm, int fd)
{
	const char *why;
	void *secret;
	size_t len;
	int r = secret_read(fd, &secret, &len, &why);

	if (r < 0) {
		session_refuse(s, -r, "%s", why);
		return -EPIPE;
	}
	r = vm_set_salt(vm, secret, len);
	secret_free(secret);
	if (r == -EAGAIN)
		session_refuse(s, EAGAIN, "user %u names too many new salts in a short time",
			       s->user->uid);
	else if (r < 0)
		session_refuse(s, -r, "the salt could not be digested: %s", strerror(-r));
	return r < 0 ? -EPIPE : 0;
}

static int start_rings(struct session *s)
{
	struct daemon *d = s->daemon;
	int r = ring_init(&s->ring);

	if (r == 0)
		r = loop_watch(&d->loop, &s->bell, LOOP_BELL, s->ring.bell_up, LOOP_READ);
	if (r < 0) {
		session_refuse(s, -r, "no memory for the rings: %s", strerror(-r));
		return -EPIPE;
	}
	(void)ring_sleep(&s->ring);
	return 0;
}

/* s becomes the session of vm. */
static void attach(struct session *s, struct vm *vm, const struct ps_msg_hello *hello)
{
	struct daemon *d = s->daemon;

	s->user->half_open--;
	s->state = SESSION_RUNNING;
	s->vm = vm;
	s->deadline = 0;
	vm->session = s;
	vm->disobeys = false;
	vm->cause = (enum ps_cause)hello->cause;
	if ((hello->flags & PS_HELLO_HOLDS_OLD) && !vm->nold)
		vm->holds_unknown = true;
	s->samples = hello->flags & PS_HELLO_LIKENESS;
	s->draws = s->samples || (hello->flags & PS_HELLO_PICTURE);
	s->say_welcome = s->say_config = true;
	session_mark(s);
	log_info("%s: process %d (%s) of user %u is here%s%s", vm->name, (int)vm->pid, vm->comm,
		 s->user->uid, vm->cause ? ", and cannot share: " : "", reason_text(vm->cause));
	s->say_target = true;
	vm->memory.came = d->now;
	d->pressure_at = 0;
	daemon_wake_at(d, d->now);
	sessions_configure_soon(d);
	if (hello->flags & PS_HELLO_QMP)
		balloon_offered(vm, hello->flags & PS_HELLO_HELD);
	/* References that were on their way when a session ended: nobody would ever say OLD_GONE */
	if (hello->flags & PS_HELLO_HOLDS_OLD)
		rehome_vm(vm);
	else
		rehome_old_gone(vm);
}

void session_hello(struct session *s, const struct ps_msg_hello *hello, const int *fds,
		   unsigned int nfds)
{
	_cleanup_close_ int pidfd = sys_peer_pidfd(s->fd);
	bool salted = hello->flags & PS_HELLO_SALT, is_new = false;
	struct vm *vm;

	if (s->state != SESSION_HALF_OPEN) {
		session_refuse(s, EPROTO, "HELLO came twice");
		return;
	}
	if (pidfd < 0) {
		session_refuse(s, ESRCH, "the process that connected is gone");
		return;
	}
	if (hello->cause >= PS_CAUSE_END) {
		session_refuse(s, EPROTO, "HELLO: there is no cause %u", hello->cause);
		return;
	}
	if (hello->page_size != PS_PAGE_SIZE || ps_name_check(hello->name) < 0 ||
	    nfds != (salted ? 1u : 0u)) {
		session_refuse(s, EPROTO, "HELLO: %s",
			       hello->page_size != PS_PAGE_SIZE ? "the page size must be 4096" :
			       nfds != (salted ? 1u : 0u)	? "descriptors: one if there is a "
								  "salt, else none" :
								  "the name may have letters, "
								  "digits and ._:@- only");
		return;
	}
	if (start_rings(s) < 0 || find_vm(s, &pidfd, hello, &vm, &is_new) < 0)
		return;
	if (!salted && !vm->salt_set)
		vm_clear_salt(vm);
	if (salted && !vm->salt_set && take_salt(s, vm, fds[0]) < 0) {
		if (is_new)
			vm_remove(vm);
		return;
	}
	if (is_new)
		admission_take(vm);
	if (!vm->enable_set)
		vm->enable = !(hello->flags & PS_HELLO_NO_SHARE);
	attach(s, vm, hello);
}
