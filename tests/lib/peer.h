/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peer: an agent of paper. It speaks the protocol (wire/wire.h) by hand, without guest and without
 * memory of its own, so that a test can say anything at any time, true or not.
 */
#ifndef PSHARE_TEST_PEER_H
#define PSHARE_TEST_PEER_H

#include "api.h"
#include "wire/wire.h"

#define PEER_FDS 8u
#define PEER_MS 5000

struct peer {
	int sock;
	struct ps_ring_map *map; /* NULL before WELCOME */
	int ring_fd, up_bell, down_bell;
	int store_fd; /* -1 before DOMAIN */
	int swap_fd;  /* -1 before SWAP */
	struct ps_msg_swap swap;
	struct ps_msg_target target; /* the latest */
	unsigned int targets;	     /* TARGETs received */
	struct ps_msg_fork fork;     /* the latest */
	struct ps_msg_child image;   /* the latest IMAGE; its descriptor: */
	int image_fd;		     /* -1: none came */
	struct ps_msg_domain domain;
	struct ps_msg_config config;
	uint64_t leave;		/* generation of a LEAVE that was received and not answered */
	unsigned int rehints;	/* REHINTs received */
	unsigned int qmp_wants; /* QMP_WANTs received */
	uint32_t held;		/* as HELD said last */
	uint8_t uuid[16];
	bool over;		     /* the daemon closed the connection */
	struct ps_msg_refuse refuse; /* what it said before, if type is set */
};

union peer_msg {
	struct ps_msg_head head;
	struct ps_msg_hello hello;
	struct ps_msg_welcome welcome;
	struct ps_msg_refuse refuse;
	struct ps_msg_config config;
	struct ps_msg_domain domain;
	struct ps_msg_leave leave;
	struct ps_msg_region region;
	struct ps_msg_qmp qmp;
	struct ps_msg_target target;
	struct ps_msg_swap swap;
	struct ps_msg_fork fork;
	struct ps_msg_frozen frozen;
	struct ps_msg_child child;
	uint8_t bytes[4096];
};

/* Connects, says nothing. Fails the test if nobody listens. */
void peer_connect(struct peer *p, const struct t_daemon *d);
/* The same; -errno where nobody listens. */
int peer_try_connect(struct peer *p, const struct t_daemon *d);
/* One message, as it is. 0 or -errno. */
int peer_send(struct peer *p, const void *buf, size_t len, const int *fds, unsigned int nfds);
/* A message of ours with a right head; *m is filled in from type on. */
int peer_say(struct peer *p, unsigned int type, union peer_msg *m, const int *fds,
	     unsigned int nfds);
/* What an honest agent would say, in m, to be made worse. */
void peer_hello_make(struct peer *p, union peer_msg *m, const char *name);
int peer_salt_fd(const char *salt); /* sealed, as it should be */
/* Takes in what comes for up to ms; returns when the type (0: any) has come: that type, 0 if it
 * did not come in time, -1 if the daemon closed. */
int peer_hear(struct peer *p, unsigned int type, int ms);
/* The whole greeting of an honest agent. Fails the test if it is refused. */
void peer_join(struct peer *p, const struct t_daemon *d, const char *name, const char *salt);
int peer_region(struct peer *p, unsigned int type, uint32_t base, uint32_t npages, uint32_t cause);

/* This process has so much more memory resident from now on, as far as the kernel's count goes: a
 * few pages of a file, mapped again and again. For agents of paper that hint much. */
void peer_look_large(uint64_t bytes);

/* Rings, as an honest agent uses them. */
bool peer_up(struct peer *p, unsigned int op, unsigned int cause, unsigned int slot, uint32_t page,
	     uint64_t arg);			    /* false: full */
bool peer_down(struct peer *p, struct ps_entry *e); /* false: nothing */
void peer_ring(struct peer *p);

/* True if the daemon ends the connection within ms. */
bool peer_is_cut(struct peer *p, int ms);
void peer_close(struct peer *p);

/* A salt, and a policy file at path by which only that user's VMs may have it. */
#define PEER_SALT "the salt of flow"
void peer_keep_salt_for(const char *path, unsigned int uid);

#endif
