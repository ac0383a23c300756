// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The agent's wire and the rings: a whole daemon in this process, and two VMs that say to it, and
 * write into what they share with it, whatever the input says, in any order; between that they can
 * be honest enough to get somewhere: a region, hints whose contents are what they say, orders that
 * are carried out. An administrator looks, and changes what concerns them, meanwhile. At the end
 * they go, and nothing may be left that belonged to them.
 */
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/mainloop.h"
#include "daemon/setup.h"
#include "fuzz/fuzz.h"
#include "sys/sock.h"

#define VMS 2
#define OPS_MAX 96
#define FDS 4
#define PATTERNS 4

struct vm_peer {
	int sock, bell_up, bell_down;
	struct ps_ring_map *map;
	struct ps_msg_domain domain;
	uint64_t leave;
	bool draws; /* the map has a picture */
	struct ps_entry want[64], share[64];
	unsigned int wants, shares;
	uint8_t pattern[65536];
};

static struct daemon daemon_state;
static struct options options;
static struct vm_peer vms[VMS];

static void turn(void)
{
	bool more = false;

	for (int i = 0; i < 4 && (i == 0 || more); i++)
		fuzz_check(daemon_turn(&daemon_state, false, &more) == 0);
}

static void start(void)
{
	if (!options.runtime_dir[0]) {
		options = (struct options){.operate_group = "0", .admin_group = "0"};
		snprintf(options.runtime_dir, sizeof(options.runtime_dir), "%s", fuzz_folder());
		options.log_file_max = 1 << 20;
		options.log_files = 1;
		log_set_level(LOG_LEVEL_ERROR);
	}
	memset(&daemon_state, 0, sizeof(daemon_state));
	fuzz_check(daemon_prepare(&daemon_state, &options) == 0);
}

/* ---- a VM ---------------------------------------------------------------------------------- */

static void say(struct vm_peer *vm, const void *message, size_t size, const int *fds,
		unsigned int nfds)
{
	if (vm->sock >= 0)
		(void)sys_send_fds(vm->sock, message, size, fds, nfds);
}

static void vm_close(struct vm_peer *vm)
{
	if (vm->sock >= 0)
		close(vm->sock);
	if (vm->bell_up >= 0)
		close(vm->bell_up);
	if (vm->bell_down >= 0)
		close(vm->bell_down);
	if (vm->map)
		munmap(vm->map, sizeof(*vm->map));
	*vm = (struct vm_peer){.sock = -1, .bell_up = -1, .bell_down = -1};
}

static void vm_open(struct vm_peer *vm)
{
	char path[OPTIONS_PATH_MAX + 16];

	if (vm->sock >= 0)
		return;
	snprintf(path, sizeof(path), "%s/agent.sock", options.runtime_dir);
	vm->sock = sys_unix_connect(path, SYS_SOCK_SEQPACKET);
	turn();
}

static void hear(struct vm_peer *vm, const uint8_t *message, size_t size, int *fds,
		 unsigned int nfds)
{
	struct ps_msg_head head;
	struct stat st;

	fuzz_check(ps_msg_check(message, (uint32_t)size) > 0);
	memcpy(&head, message, sizeof(head));
	if (head.type == PS_MSG_WELCOME && nfds == 3 && !vm->map) {
		vm->map =
			mmap(NULL, sizeof(*vm->map), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
		if (vm->map == MAP_FAILED)
			vm->map = NULL;
		vm->bell_up = fds[1];
		vm->bell_down = fds[2];
		fds[1] = fds[2] = -1;
		vm->draws = fstat(fds[0], &st) == 0 && st.st_size >= (off_t)sizeof(*vm->map);
	} else if (head.type == PS_MSG_DOMAIN) {
		memcpy(&vm->domain, message, sizeof(vm->domain));
		/* a store can be read here, and never be written */
		fuzz_check(nfds == 1 && (fcntl(fds[0], F_GETFL) & O_ACCMODE) == O_RDONLY);
	} else if (head.type == PS_MSG_LEAVE) {
		struct ps_msg_leave leave;

		memcpy(&leave, message, sizeof(leave));
		vm->leave = leave.generation;
	}
}

static void hear_all(struct vm_peer *vm)
{
	uint8_t message[1024];
	int fds[SYS_FDS_MAX];
	unsigned int nfds;
	size_t size;

	while (vm->sock >= 0 &&
	       sys_recv_fds(vm->sock, message, sizeof(message), &size, fds, &nfds) == 0) {
		if (size)
			hear(vm, message, size, fds, nfds);
		for (unsigned int i = 0; i < nfds; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (!size) {
			vm_close(vm);
			return;
		}
	}
}

/* Descriptors of the kinds that a liar may send. */
static int make_fd(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);
	char text[64];
	int fd;

	if (kind == 0)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (kind == 1)
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fuzz_bytes(in, text, sizeof(text));
	(void)!write(fd, text, kind % 65);
	if (kind & 64)
		(void)!ftruncate(fd, (off_t)(kind & 63) << 14);
	if (kind & 128)
		(void)fcntl(fd, F_ADD_SEALS,
			    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return fd;
}

static void say_anything(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t message[512], how = fuzz_u8(in);
	struct ps_msg_head head = {PS_WIRE_MAGIC, fuzz_u8(in) % (PS_MSG_TYPE_END + 1), 0};
	unsigned int nfds = how & 3;
	int fds[FDS];

	head.size = (uint16_t)ps_msg_size(head.type);
	if (how & 128)
		head.size = fuzz_u16(in) % sizeof(message);
	fuzz_bytes(in, message, sizeof(message));
	memcpy(message, &head, sizeof(head));
	for (unsigned int i = 0; i < nfds; i++)
		fds[i] = make_fd(in);
	say(vm, message, how & 64 ? fuzz_u16(in) % sizeof(message) : head.size, fds, nfds);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

static void say_hello(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t how = fuzz_u8(in), which = fuzz_u8(in);
	struct ps_msg_hello hello = {.head = {PS_WIRE_MAGIC, PS_MSG_HELLO, sizeof(hello)},
				     .version = PS_WIRE_VERSION,
				     .page_size = PS_PAGE_SIZE,
				     .flags = (how & 7) | (how & 64 ? PS_HELLO_PICTURE : 0),
				     .cause = how & 8 ? which : 0};
	int fd = -1;

	hello.uuid[0] = (uint8_t)(vm - vms) + 1;
	hello.uuid[1] = how & 16 ? which : 0;
	snprintf(hello.name, sizeof(hello.name), "vm%d", how & 32 ? which % 2 : (int)(vm - vms));
	if (hello.flags & PS_HELLO_SALT) {
		fd = memfd_create("salt", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		(void)!write(fd, "abc", which & 1 ? 3 : 2);
		(void)fcntl(fd, F_ADD_SEALS,
			    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	}
	say(vm, &hello, sizeof(hello), &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

static void say_region(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t kind = fuzz_u8(in);
	struct ps_msg_region region = {
		.head = {PS_WIRE_MAGIC, (uint16_t)(PS_MSG_REGION_ADD + kind % 3), sizeof(region)},
		.base = (uint32_t)fuzz_u8(in) * PS_BLOCK_PAGES,
		.npages = fuzz_u16(in),
		.cause = kind >> 2};

	say(vm, &region, sizeof(region), NULL, 0);
}

static void say_left(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t how = fuzz_u8(in);
	struct ps_msg_leave left = {.head = {PS_WIRE_MAGIC, PS_MSG_LEFT, sizeof(left)},
				    .generation = how & 1 ? fuzz_u64(in) : vm->leave};

	say(vm, &left, sizeof(left), NULL, 0);
}

/* ---- rings --------------------------------------------------------------------------------- */

static void put(struct vm_peer *vm, struct ps_entry entry)
{
	struct ps_ring *up = &vm->map->up;

	up->entry[up->tail % PS_RING_ENTRIES] = entry;
	__atomic_store_n(&up->tail, up->tail + 1, __ATOMIC_RELEASE);
}

static void ring_bell(struct vm_peer *vm)
{
	uint64_t one = 1;

	if (vm->bell_up >= 0)
		(void)!write(vm->bell_up, &one, sizeof(one));
}

static uint64_t hash_of(const struct vm_peer *vm, uint8_t pattern)
{
	uint8_t page[PS_PAGE_SIZE];

	memset(page, pattern, sizeof(page));
	return XXH3_64bits_withSeed(page, sizeof(page), vm->domain.seed);
}

static void put_anything(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t kind = fuzz_u8(in);
	struct ps_entry entry = {.op = fuzz_u8(in) % (PS_U_END + 1), .cause = fuzz_u8(in)};

	entry.slot = kind & 1 ? fuzz_u16(in) : fuzz_u8(in);
	entry.page = kind & 2 ? fuzz_u32(in) : fuzz_u16(in);
	entry.arg = kind & 4 ? fuzz_u64(in) : kind & 8 ? hash_of(vm, kind % PATTERNS) : fuzz_u8(in);
	put(vm, entry);
}

/* What an honest agent would hint: pages of one of a few contents. */
static void put_hints(struct fuzz_input *in, struct vm_peer *vm)
{
	uint16_t page = fuzz_u16(in);
	uint8_t n = fuzz_u8(in) % 32, pattern = fuzz_u8(in);

	for (uint8_t i = 0; i < n; i++, page++) {
		vm->pattern[page] = (uint8_t)((pattern + i) % PATTERNS + 1);
		put(vm, (struct ps_entry){.op = PS_U_HINT,
					  .page = page,
					  .arg = hash_of(vm, vm->pattern[page])});
	}
}

/* Takes orders, and carries them out: how says which of them not, or with a lie. */
static void serve(struct vm_peer *vm, uint8_t how)
{
	struct ps_ring *down = &vm->map->down;
	uint32_t tail = __atomic_load_n(&down->tail, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < 256 && down->head != tail; i++) {
		struct ps_entry order = down->entry[down->head % PS_RING_ENTRIES];
		uint8_t pattern = order.page < sizeof(vm->pattern) ? vm->pattern[order.page] : 0;

		__atomic_store_n(&down->head, down->head + 1, __ATOMIC_RELEASE);
		if (order.op == PS_D_WANT && order.slot < PS_CONTENT_SLOTS) {
			memset(vm->map->content[order.slot], how & 1 ? how : pattern, PS_PAGE_SIZE);
			put(vm, (struct ps_entry){.op = PS_U_CONTENT,
						  .cause = how & 2 ? how >> 3 : 0,
						  .slot = order.slot,
						  .page = order.page,
						  .arg = hash_of(vm, pattern)});
		} else if (order.op == PS_D_SHARE) {
			put(vm, (struct ps_entry){.op = how & 4 ? PS_U_REFUSED : PS_U_SHARED,
						  .cause = how & 4 ? how >> 3 : 0,
						  .page = order.page,
						  .arg = order.arg});
		}
	}
	ring_bell(vm);
}

static void lie_about_counters(struct fuzz_input *in, struct vm_peer *vm)
{
	uint32_t value = fuzz_u32(in);

	switch (fuzz_u8(in) % 4) {
	case 0:
		vm->map->up.tail += value;
		break;
	case 1:
		vm->map->down.head += value;
		break;
	case 2:
		vm->map->up.head = value;
		break;
	default:
		vm->map->down.tail = value;
		break;
	}
}

static void write_stats(struct fuzz_input *in, struct vm_peer *vm)
{
	uint64_t *word = (uint64_t *)&vm->map->stats;
	size_t words = sizeof(vm->map->stats) / sizeof(*word);

	for (uint8_t n = fuzz_u8(in) % 16; n; n--) {
		size_t at = fuzz_u16(in) % words;

		word[at] = fuzz_u64(in);
	}
}

/* Cells and a head of any kind: what the API shows is a checked copy. */
static void write_picture(struct fuzz_input *in, struct vm_peer *vm)
{
	uint8_t *bytes = (uint8_t *)&vm->map->picture;

	for (uint8_t n = fuzz_u8(in) % 16; n; n--) {
		uint8_t how = fuzz_u8(in);
		size_t range = how & 1 ? sizeof(vm->map->picture) : 256;

		fuzz_bytes(in, bytes + fuzz_u16(in) % (range - 8), how % 8 + 1);
	}
}

static void request(const char *text, size_t length)
{
	char path[OPTIONS_PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/api.sock", options.runtime_dir);
	fd = sys_unix_connect(path, SYS_SOCK_STREAM);
	if (fd < 0)
		return;
	(void)!send(fd, text, length, MSG_NOSIGNAL);
	turn();
	close(fd);
	turn();
}

static void ask_api(struct fuzz_input *in)
{
	static const char *const paths[] = {"/v1/vms",
					    "/v1/vms/vm0",
					    "/metrics",
					    "/v1/status",
					    "/v1/vms/vm1/settings",
					    "/v1/vms/vm0/picture",
					    "/v1/picture",
					    "/v1/audit",
					    "/v1/vms/vm0/fork",
					    "/v1/vms/vm0/family",
					    "/v1/vms/vm1/balloon",
					    "/v1/log"};
	char text[256];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
			 paths[fuzz_u8(in) % (sizeof(paths) / sizeof(paths[0]))]);

	request(text, (size_t)n);
}

/* What an administrator may do to VMs that lie at the same time. */
static void change_by_api(struct fuzz_input *in)
{
	static const char *const changes[][2] = {
		{"/v1/vms/vm0/settings/sched.mem.pshare.salt", "{\"salt\":\"abd\"}"},
		{"/v1/vms/vm1/settings/sched.mem.pshare.salt", "{\"salt\":null}"},
		{"/v1/vms/vm0/settings/sched.mem.pshare.enable", "{\"value\":false}"},
		{"/v1/vms/vm0/settings/sched.mem.pshare.enable", "{\"value\":true}"},
		{"/v1/settings/Mem.ShareForceSalting", "{\"value\":0}"},
		{"/v1/settings/Mem.ShareForceSalting", "{\"value\":2}"},
		{"/v1/settings/Mem.ShareZeroOnly", "{\"value\":1}"},
		{"/v1/settings/Mem.ManagedMB", "{\"value\":16}"},
		{"/v1/vms/vm0/suspend", "{\"value\":true}"},
		{"/v1/vms/vm0/resume", "{\"value\":true}"},
		{"/v1/vms/vm1/reclaim", "{\"value\":1048576}"},
		{"/v1/vms/vm0/fork", "{\"value\":\"publish\"}"},
		{"/v1/vms/vm0/fork", "{\"value\":\"drop\"}"},
	};
	const char *const *change = changes[fuzz_u8(in) % (sizeof(changes) / sizeof(changes[0]))];
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n\r\n%s",
			 change[0], strlen(change[1]), change[1]);

	request(text, (size_t)n);
}

static void do_one(struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);
	struct vm_peer *vm = &vms[op >> 7];

	op %= 16;
	if (op >= 8 && op < 14 && !vm->map)
		return;
	switch (op) {
	case 0:
		vm_open(vm);
		break;
	case 1:
		vm_open(vm);
		say_hello(in, vm);
		break;
	case 2:
		say_anything(in, vm);
		break;
	case 3:
		say_region(in, vm);
		break;
	case 4:
		say_left(in, vm);
		break;
	case 5:
		ask_api(in);
		break;
	case 6:
		vm_close(vm);
		break;
	case 7:
		change_by_api(in);
		break;
	case 14:
		if (vm->draws)
			write_picture(in, vm);
		break;
	case 8:
		put_anything(in, vm);
		break;
	case 9:
		put_hints(in, vm);
		ring_bell(vm);
		break;
	case 10:
		serve(vm, fuzz_u8(in));
		break;
	case 11:
		lie_about_counters(in, vm);
		break;
	case 12:
		write_stats(in, vm);
		break;
	case 13:
		ring_bell(vm);
		break;
	default:
		break;
	}
	turn();
	hear_all(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};

	for (int i = 0; i < VMS; i++)
		vms[i] = (struct vm_peer){.sock = -1, .bell_up = -1, .bell_down = -1};
	start();
	for (int i = 0; i < OPS_MAX && in.left; i++)
		do_one(&in);
	for (int i = 0; i < VMS; i++)
		vm_close(&vms[i]);
	turn();
	fuzz_check(daemon_state.nsessions == 0);
	daemon_deinit(&daemon_state);
	fuzz_check(list_empty(&daemon_state.vms) && list_empty(&daemon_state.domains));
	fuzz_check(daemon_state.bytes == 0);
	return 0;
}
