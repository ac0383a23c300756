/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire: what an agent and the daemon say to each other. The only header both sides share.
 *
 * Two ways of talking:
 *  - control messages on a SOCK_SEQPACKET unix socket (agent.sock): rare, fixed size, carry fds;
 *  - two rings and a few content slots in one memfd (struct ps_ring_map), one ring each way,
 *    single producer and single consumer, with an eventfd as the doorbell of each way.
 *
 * Nobody believes anybody. Each side copies an entry out of shared memory once, then checks the
 * copy. A head or tail that runs ahead of what is possible ends the session (the daemon) or the
 * connection (the agent). Every length, page, frame and slot is checked against what was agreed.
 *
 * Life of a session
 *   agent  -> HELLO                  (+ fd: sealed memfd with the salt, if there is one). With a
 *                                    cause: it cannot share, gets no domain and is only shown
 *   daemon -> WELCOME                (+ fds: ring memfd, doorbell up, doorbell down)
 *   daemon -> CONFIG                 (again whenever a setting changes)
 *   daemon -> DOMAIN                 (+ fd: the domain's store, opened read-only)
 *   agent  -> REGION_ADD ...         each region that takes part; REGION_REFUSED: one that cannot;
 *                                    REGION_DEL: it is gone and maps no frame, the daemon drops
 *                                    its references
 *   then the rings run.
 *   daemon -> LEAVE                  the VM must leave its domain: unshare all, then answer LEFT
 *   agent  -> LEFT                   nothing of that store, nor of an earlier session's, is mapped
 *                                    for the guest any more
 *   daemon -> DOMAIN                 the new domain (a fresh generation)
 *   daemon -> TARGET                 how much of its memory the VM is to give up, and by what;
 *                                    again whenever that changes
 *   daemon -> SWAP                   (+ fd: the VM's swap file). One that comes while there is one
 *                                    changes the cap alone
 *   daemon -> REHINT                 hints were lost for want of room, and there is room now: every
 *                                    page is to be hinted anew, as after DOMAIN
 *   daemon -> QMP_WANT               where HELLO said that there is a monitor: a connection to it
 *                                    is wanted; again when the last one is lost
 *   agent  -> QMP                    (+ fd: the connection, or an errno)
 *   daemon -> HELD                   before and after it has the VM stand still
 *   either side closes. The agent keeps every mapping it has: frames stay valid, because a
 *   daemon never punches a frame of a VM whose process lives, and a memfd outlives its daemon.
 *
 * One page's way through the rings (U = agent to daemon, D = daemon to agent)
 *   U HINT(page, hash)       "page had this hash when I looked"; nothing is protected
 *   D WANT(page, slot)       "another page had that hash: put the content into this slot"
 *   U CONTENT(page, slot)    done (or flag = cause: changed, gone, ...)
 *   D SHARE(page, frame)     "take the page out, compare it with the frame, map the frame";
 *                            the daemon holds a reference for the page from here on
 *   U SHARED(page, frame)    mapped
 *   U REFUSED(page, frame)   not mapped, aux = cause; the daemon drops the reference
 *   U UNSHARED(page)         the frame is no longer mapped at this page and its quarantine is over;
 *                            the daemon drops the reference. Sent before any new HINT of that page.
 */
#ifndef PSHARE_WIRE_H
#define PSHARE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define PS_WIRE_VERSION 4u
#define PS_WIRE_MAGIC 0x31485350u /* "PSH1" */

#define PS_PAGE_SHIFT 12
#define PS_PAGE_SIZE 4096u
#define PS_BLOCK_PAGES 512u
#define PS_BLOCK_SIZE (PS_BLOCK_PAGES * PS_PAGE_SIZE)

/* caps; a peer that exceeds one is refused, never obeyed */
#define PS_NAME_MAX 64u		/* a VM's name, with its NUL: [A-Za-z0-9._:@-]+ */
#define PS_SALT_MAX 1024u	/* bytes of a salt */
#define PS_REGIONS_MAX 64u	/* regions of one VM */
#define PS_PAGES_MAX (1u << 28) /* pages of one VM, all regions: 1 TiB */
#define PS_FRAMES_MAX (1u << 28)
#define PS_FRAME_NONE UINT32_MAX

/* A page is named by its number in the VM: region base (a multiple of PS_BLOCK_PAGES, chosen by
 * the agent, never reused while the session lasts) + page number in the region. */

enum ps_msg_type {
	PS_MSG_HELLO = 1,
	PS_MSG_WELCOME,
	PS_MSG_REFUSE,
	PS_MSG_CONFIG,
	PS_MSG_DOMAIN,
	PS_MSG_LEAVE,
	PS_MSG_LEFT,
	PS_MSG_REGION_ADD,
	PS_MSG_REGION_DEL,
	PS_MSG_REGION_REFUSED,
	PS_MSG_OLD_GONE, /* agent: no page maps a frame of an earlier session any more */
	PS_MSG_REHINT,	 /* daemon: hints were lost, hint every page anew */
	PS_MSG_FORK,	 /* daemon: the VM is stopped, say what it has; or go on */
	PS_MSG_FROZEN,	 /* agent: what it has (+ fds: manifest, copies) */
	PS_MSG_CHILD,	 /* agent: this memory is to begin as an image */
	PS_MSG_IMAGE,	 /* daemon: the image (+ fd: manifest) */
	PS_MSG_BORN,	 /* agent: it is mapped */
	PS_MSG_TARGET,	 /* daemon: what is to be out */
	PS_MSG_SWAP,	 /* daemon: where to; comes with a descriptor */
	PS_MSG_QMP_WANT, /* daemon: connect to the VMM's monitor for me */
	PS_MSG_QMP,	 /* agent: here it is (+ fd), or why not */
	PS_MSG_HELD,	 /* daemon: the VM stands still by my order, or does not any more */
	PS_MSG_TYPE_END
};

/* Every control message starts so; size is the whole message and must match its type exactly. */
struct ps_msg_head {
	uint32_t magic;
	uint16_t type;
	uint16_t size;
};

#define PS_HELLO_SALT 1u      /* the salt memfd comes along (sealed; may be empty: "empty salt") */
#define PS_HELLO_NO_SHARE 2u  /* sched.mem.pshare.enable = FALSE from the start */
#define PS_HELLO_HOLDS_OLD 4u /* this process still maps frames of an earlier session */
#define PS_HELLO_QMP 8u	      /* it can hand over a connection to the VMM's monitor (QMP) */
#define PS_HELLO_HELD 16u     /* the VM stood still by an earlier daemon's order: let it go */
#define PS_HELLO_PICTURE 32u  /* it draws a picture: WELCOME may say PS_RING_SIZE_PICTURE */
#define PS_HELLO_LIKENESS 64u /* the same, and samples its pages: PS_RING_SIZE_LIKENESS */

struct ps_msg_hello {
	struct ps_msg_head head;
	uint32_t version;
	uint32_t flags;
	uint32_t page_size;
	uint32_t cause;	  /* enum ps_cause: why this process cannot share at all; NONE: it can */
	uint8_t uuid[16]; /* random, made once per VM process: the same VM after a reconnect */
	char name[PS_NAME_MAX]; /* NUL padded; empty: the daemon makes one up from comm and pid */
};

struct ps_msg_welcome {
	struct ps_msg_head head;
	uint32_t version;
	uint32_t reserved;
	uint64_t ring_size; /* bytes of the ring memfd: PS_RING_SIZE_PLAIN, or to who said
				PICTURE, PS_RING_SIZE_PICTURE; LIKENESS, that */
};

#define PS_REASON_MAX 160u
struct ps_msg_refuse {
	struct ps_msg_head head;
	int32_t error; /* positive errno */
	uint32_t reserved;
	char reason[PS_REASON_MAX]; /* one line, NUL padded */
};

#define PS_CONFIG_SHARE 1u     /* sharing is on; off: unshare nothing, look at nothing */
#define PS_CONFIG_LARGE 2u     /* Mem.AllocGuestLargePage = 1: leave huge pages whole */
#define PS_CONFIG_ZERO_ONLY 4u /* only zero pages are given back, no frame is mapped */
#define PS_CONFIG_MOVE_LOOPS \
	8u /* this kernel's UFFDIO_MOVE can loop on large folios: never
				    take out part of what ever was a huge page */

#define PS_CONFIG_HURRY 16u /* looks follow each other at once: the VM is to be forked */

struct ps_msg_config {
	struct ps_msg_head head;
	uint32_t flags;
	uint32_t pages_per_second; /* looks at pages a second, 0: none */
	uint32_t pass_seconds;	   /* a pass over all memory is not to take less than this */
	uint32_t quarantine_ms;
	uint32_t map_reserve;		 /* mappings to leave unused below vm.max_map_count */
	uint32_t first_pages_per_second; /* the same while the first pass is under way, if more */
	uint32_t sample_pages;		 /* staged each period, to see which are touched; 0: none */
	uint32_t sample_ms;		 /* the period */
	uint32_t stage_ms; /* a page stays staged for so long before it goes on; never for less
				  than quarantine_ms */
	uint32_t reserved;
};

#define PS_SAMPLE_PAGES 100u /* as ESX */
#define PS_SAMPLE_PAGES_MAX 1024u
#define PS_SAMPLE_MS 60000u
#define PS_STAGE_MS 10000u

struct ps_msg_domain {
	struct ps_msg_head head;
	uint64_t generation; /* of the store: never 0, never reused by this daemon */
	uint64_t seed;	     /* XXH3_64bits_withSeed for this domain */
	uint32_t frames;     /* size of the store's window; frame numbers are below it */
	uint32_t reserved;
};

struct ps_msg_leave { /* LEAVE and LEFT */
	struct ps_msg_head head;
	uint64_t generation;
};

struct ps_msg_region { /* REGION_ADD, REGION_DEL, REGION_REFUSED */
	struct ps_msg_head head;
	uint32_t base;	 /* first page number; multiple of PS_BLOCK_PAGES */
	uint32_t npages; /* > 0; multiple of PS_BLOCK_PAGES not required */
	uint32_t cause;	 /* enum ps_cause, REGION_REFUSED only */
	uint32_t reserved;
};

/* What may be done to a VM's memory now. */
#define PS_TARGET_STAGE 1u  /* take cold pages out; of no use without one of the next three */
#define PS_TARGET_TWIN 2u   /* a staged page that is equal to a frame is kept as that, unmapped */
#define PS_TARGET_ZIP 4u    /* compress what was staged long enough */
#define PS_TARGET_SWAP 8u   /* write it to the swap file, if it does not compress, or stays */
#define PS_TARGET_BREAK 16u /* break large blocks: break_blocks more of them */
#define PS_TARGET_COLLAPSE 32u /* blocks of resident pages may become huge again */
#define PS_TARGET_SUSPEND 64u  /* out with everything, cold or not, whatever out_pages is */
#define PS_TARGET_RESUME 128u  /* bring back what is out, ahead of use */
#define PS_TARGET_SLOW 256u /* let pages come in slowly: the VM is held back, and has no monitor */

struct ps_msg_target {
	struct ps_msg_head head;
	uint32_t state; /* enum memstate of the host: shown, and how much time there is */
	uint32_t flags;
	uint32_t out_pages;	/* twin, zipped and swapped together: so many are to be out. Fewer
				  than are out: nothing more goes out; what is touched comes back */
	uint32_t break_blocks;	/* PS_TARGET_BREAK: so many are still to be broken, in the place of
				  what was said before */
	uint32_t zip_max_pages; /* memory that the compressed cache may hold, pages */
	uint32_t promote_max;	/* pages/s that may come back: where more do, reclaim slows down; 0:
				 as many as will */
	uint32_t balloon;	/* pages that its balloon was asked for, + 1; 0: this daemon has
				   asked for nothing. Kept by the agent for the next daemon */
};

struct ps_msg_swap { /* with one descriptor: a regular file, readable and writable, of no name */
	struct ps_msg_head head;
	uint64_t cap; /* bytes that it may grow to */
};

/* HELD: who has to know, for the case that all who could let the VM go are killed at once. */
enum ps_qmp_held {
	PS_QMP_FREE,
	PS_QMP_HELD,   /* if the daemon goes, let the VM go (QMP "cont") */
	PS_QMP_LET_GO, /* the daemon cannot: let it go now */
};

struct ps_msg_qmp { /* QMP, HELD */
	struct ps_msg_head head;
	int32_t error; /* QMP: positive errno, and no descriptor comes along */
	uint32_t held; /* HELD: enum ps_qmp_held; QMP: TARGET's balloon, as last said */
};

struct ps_msg_plain { /* OLD_GONE, REHINT, QMP_WANT */
	struct ps_msg_head head;
};

/* ---- fork ----
 *
 * The RAM files of a VMM that was run to be forked have numbers, and the pages of all of them, one
 * file after the other, are the pages of an image. A manifest is a sealed memfd with an entry of 32
 * bits for each of them: a frame's number, PS_IMAGE_ZERO, or, from the agent to the daemon alone,
 * PS_IMAGE_COPY and the number of a page in the memfd of copies.
 *
 *   daemon -> FORK (FREEZE)  the VMM's guest is stopped, and its devices are drained
 *   agent  -> FROZEN         what each page is; from here on it changes no mapping and gives no
 *                            reference back, until
 *   daemon -> FORK (THAW)    the daemon has a reference of its own to each frame
 *
 *   agent  -> CHILD          a region of a RAM file, untouched, is to begin as an image
 *   daemon -> IMAGE          a reference is on the child's books for each page with a frame
 *   agent  -> BORN           mapped, or not (error)
 *
 * Into another domain an image is copied, if whoever forks said so: then IMAGE has generation 0,
 * and its descriptor is a sealed memfd of the pages themselves, in place of a manifest.
 */
#define PS_FORK_RAMS_MAX 8u
#define PS_IMAGE_ZERO PS_FRAME_NONE
#define PS_IMAGE_COPY (1u << 30)

enum ps_fork_op { PS_FORK_FREEZE = 1, PS_FORK_THAW, PS_FORK_OP_END };

struct ps_msg_fork {
	struct ps_msg_head head;
	uint64_t id; /* of the image */
	uint32_t op; /* enum ps_fork_op */
	uint32_t reserved;
};

struct ps_msg_frozen {
	struct ps_msg_head head;
	uint64_t id;
	int32_t error; /* positive errno: it cannot say, and no descriptor comes along */
	uint32_t rams;
	uint32_t first[PS_FORK_RAMS_MAX]; /* number in the VM of each RAM file's first page */
	uint32_t npages[PS_FORK_RAMS_MAX];
	uint32_t copies; /* pages */
	uint32_t reserved;
};

struct ps_msg_child { /* CHILD, IMAGE, BORN */
	struct ps_msg_head head;
	uint64_t id;
	uint32_t ram;	 /* number of the RAM file */
	uint32_t page;	 /* number in the VM of its first page */
	uint32_t npages; /* of it */
	int32_t error;	 /* IMAGE, BORN: positive errno; IMAGE: then no descriptor comes along */
	uint32_t offset; /* IMAGE: where its entries begin in the manifest */
	uint32_t reserved;
	uint64_t generation; /* IMAGE: of the store whose frames they are; 0: pages */
};

/* Why a page, a region or a VM is not shared. Names as JSON shows them: see ps_cause_name(); what
 * each means, and what would do: src/policy/reason.h. */
enum ps_cause {
	PS_CAUSE_NONE,
	PS_CAUSE_CHANGED,    /* content was no longer what it was */
	PS_CAUSE_GONE,	     /* not there any more: discarded, unmapped */
	PS_CAUSE_PINNED,     /* EBUSY: DMA may be under way, or shared with a fork */
	PS_CAUSE_LARGE,	     /* part of a huge page that stays whole */
	PS_CAUSE_MAPPINGS,   /* vm.max_map_count is near */
	PS_CAUSE_QUARANTINE, /* still in quarantine, or the quarantine is full */
	PS_CAUSE_FOREIGN,    /* somebody else's userfaultfd */
	PS_CAUSE_HUGETLB,
	PS_CAUSE_SHARED, /* shared mapping (memfd, shmem): not private anonymous memory */
	PS_CAUSE_LOCKED, /* mlock */
	PS_CAUSE_FILE,	 /* file-backed */
	PS_CAUSE_NO_MEMORY,
	PS_CAUSE_LIMIT, /* a cap of this header */
	PS_CAUSE_ERROR, /* an errno nobody expected */
	/* of regions */
	PS_CAUSE_MEMFD,	 /* private mapping of a memfd */
	PS_CAUSE_DEVICE, /* PFNMAP, IO */
	PS_CAUSE_ACCESS, /* part of it is not mapped, or not readable and writable */
	/* of VMs */
	PS_CAUSE_USERFAULTFD,  /* no right to have one */
	PS_CAUSE_KERNEL,       /* lacks what the agent needs */
	PS_CAUSE_RLIMIT_AS,    /* of the VMM: no address space for a store's mappings */
	PS_CAUSE_RLIMIT_FSIZE, /* of the daemon, or of the VMM: no store, no salt can be made */
	PS_CAUSE_NOT_OFFERED,  /* no MADV_MERGEABLE */
	PS_CAUSE_DISABLED,     /* sched.mem.pshare.enable is FALSE */
	PS_CAUSE_RATE,	       /* Mem.ShareScanGHz or Mem.ShareRateMax is 0 */
	PS_CAUSE_SALT,	       /* the policy does not let this user use that salt */
	PS_CAUSE_NO_SALT,      /* there is one, and it cannot be had */
	PS_CAUSE_STOPPED,      /* the agent met an error and takes nothing out any more */
	PS_CAUSE_END
};

/* Room for causes on the wire. A new cause takes the next number below it, which moves nothing: an
 * agent and a daemon of different ages still agree where everything is, and a cause that one of
 * them does not know is "error" to it. */
#define PS_CAUSES_ROOM 64u

/* ---- rings -------------------------------------------------------------------------------- */

#define PS_RING_ENTRIES 4096u /* power of two */
/* How many contents may be on their way from one agent: the more, the longer the runs that are
 * shared at once, and the fewer the mappings that are cut out one by one. */
#define PS_CONTENT_SLOTS 256u

enum ps_up { PS_U_HINT = 1, PS_U_CONTENT, PS_U_SHARED, PS_U_REFUSED, PS_U_UNSHARED, PS_U_END };
enum ps_down { PS_D_WANT = 1, PS_D_SHARE, PS_D_END };

struct ps_entry {
	uint8_t op;
	uint8_t cause; /* CONTENT, REFUSED: enum ps_cause */
	uint16_t slot; /* WANT, CONTENT: content slot */
	uint32_t page;
	uint64_t arg; /* HINT, CONTENT: hash. SHARE, SHARED, REFUSED: frame */
};

/* Free-running counters: entries head..tail-1 are full, tail - head <= PS_RING_ENTRIES always.
 * The producer writes entries, then tail (release); the consumer reads, then head (release).
 * sleeping: set by a consumer before it waits on the doorbell; a producer that sees it rings. */
struct ps_ring {
	_Alignas(64) uint32_t tail;
	_Alignas(64) uint32_t head;
	_Alignas(64) uint32_t sleeping;
	_Alignas(64) struct ps_entry entry[PS_RING_ENTRIES];
};

/* How an agent tells which of the guest's own pages are pinned by a device, and so what becomes of
 * first writes: with all but GUARDED the kernel settles them. Names as JSON shows them:
 * ps_pins_name(). */
enum ps_pins {
	PS_PINS_UNKNOWN,     /* not looked at yet */
	PS_PINS_DESCRIPTORS, /* nothing that is open can pin */
	PS_PINS_FORK,
	PS_PINS_SWAP,
	PS_PINS_GUARDED, /* it cannot be told: first writes wait for a thread */
	PS_PINS_END
};

/* Where a page that comes back was: latencies are told for each. */
enum ps_tier { PS_TIER_STAGED, PS_TIER_TWIN, PS_TIER_ZIP, PS_TIER_SWAP, PS_TIERS };
/* Bucket i counts what took less than 2^i us, and not less than the bucket before; the last has all
 * that took longer. */
#define PS_LATENCY_BUCKETS 16u

/* What the agent says of itself: a claim, shown as such, used for no decision that another VM
 * could feel. Pages unless the name says otherwise. Written by the agent with plain 64-bit
 * stores. */
struct ps_agent_stats {
	uint64_t size;	 /* of all regions that take part */
	uint64_t grant;	 /* present in the guest's mapping, of whatever kind */
	uint64_t shared; /* frames mapped, of this and earlier stores */
	uint64_t zero;	 /* the kernel's zero page mapped where memory was given back */
	uint64_t large;	 /* in huge pages */
	uint64_t quarantined;
	uint64_t cowh;	      /* pages inside large blocks whose twin is known (hints answered) */
	uint64_t stuck;	      /* of the broken: will not be shared again as pins are told now */
	uint64_t mappings;    /* mappings of this process that exist because of sharing */
	uint64_t agent_bytes; /* memory of the agent itself: tables, buffers; not the rings */
	uint64_t cpu_ns;      /* CPU of the agent's threads */
	uint64_t pass;	      /* passes finished */
	uint64_t looked;      /* pages whose state was read from the page tables */
	uint64_t scanned;     /* pages hashed */
	uint64_t hinted;
	uint64_t shares; /* events, ever growing */
	uint64_t zeroed;
	uint64_t unshares;
	uint64_t discards;     /* shared pages discarded by the VMM */
	uint64_t late_writes;  /* found in quarantine and put back into the guest */
	uint64_t faults;       /* write faults settled */
	uint64_t unseen;       /* present, and not judged yet: neither hashed nor restless */
	uint64_t cause;	       /* enum ps_cause: nothing is shared any more, because */
	uint64_t error;	       /* the errno behind the last refusal of PS_CAUSE_ERROR */
	uint64_t pins;	       /* enum ps_pins: how pinned pages are told */
	uint64_t broken;       /* pages that the guest wrote to, inside their frames' mappings */
	uint64_t brought_back; /* events: back in anonymous memory */
	uint64_t reshares;     /* events: shared again where they were broken */
	uint64_t pin_forks;    /* events: forks that told pins */
	uint64_t batches;      /* of closed pages; while one lasts, writes to them wait */
	uint64_t stall_ns;     /* how long they lasted, all together */
	uint64_t stall_max_ns; /* and the longest */
	uint64_t first_pass;   /* 1: it is under way */
	/* the working set, estimated by sampling (ACTV): the largest of the three, and each */
	uint64_t active;
	uint64_t active_slow;
	uint64_t active_fast;
	uint64_t active_now; /* of the period under way: a lower bound until it is over */
	uint64_t sampled;    /* events: pages staged for that */
	uint64_t touched;    /* of them, touched within their period */
	/* pages that are out, by where they are */
	uint64_t staged;
	uint64_t twin;
	uint64_t zipped;
	uint64_t swapped;
	uint64_t zip_bytes;   /* memory that the compressed cache holds */
	uint64_t zip_payload; /* of it, what compression made of the pages */
	uint64_t swap_bytes;  /* of the file, in use */
	/* events: into each, and back in */
	uint64_t stagings;
	uint64_t staged_back;
	uint64_t twins;
	uint64_t twinins;
	uint64_t zips;
	uint64_t unzips;
	uint64_t swapouts;
	uint64_t swapins;
	uint64_t out_zeros;    /* zeros found while they were out: dropped, they are nowhere */
	uint64_t out_discards; /* discarded by the VMM while they were out */
	uint64_t promotions;   /* came back from twin, zip or swap because they were touched */
	uint64_t promote_rate; /* of them, in the last second */
	uint64_t scanned_in; /* came back for somebody who reads all memory in order (a migration):
				  no promotions, and they go out again first */
	uint64_t slowed;     /* 1: reclaim is slowed down, for too many come back */
	uint64_t wait_ns;    /* how long accesses to pages that were out have waited, together */
	uint64_t target_out; /* as TARGET said last */
	uint64_t target_flags;
	uint64_t large_left;   /* pages that could not be staged at the last pass: in huge pages */
	uint64_t moving_todo;  /* suspend, resume: pages still to be moved; 0: done */
	uint64_t moving_total; /* of so many */
	uint64_t breaks;       /* events: large blocks broken for a target */
	uint64_t collapses;    /* events: blocks made huge again */
	uint64_t swap_error;   /* errno of the last write that failed; 0: the last was good */
	uint64_t swap_errors;  /* events: pages that could not be written, and stayed */
	uint64_t cold_error;   /* the errno that keeps pages from being staged; 0: nothing does */
	uint64_t latency[PS_TIERS][PS_LATENCY_BUCKETS];
	uint64_t large_worth;	/* huge pages whose breaking is worthwhile for what they share */
	uint64_t batch_waiting; /* pages to be shared again or brought back by a batch */
	uint64_t spare[14];
	uint64_t refused[PS_CAUSES_ROOM]; /* by enum ps_cause; last, and with room to grow */
};

/* How often something took how long: buckets as of latency, and all of it together. */
struct ps_times {
	uint64_t count[PS_LATENCY_BUCKETS];
	uint64_t sum_ns;
};

/* What is timed beside pages that come in. */
enum ps_timed {
	PS_TIMED_WRITE, /* first writes that waited for the settler: where frames are guarded */
	PS_TIMED_PROBE, /* a first write of the agent's own, as the kernel settles a guest's */
	PS_TIMED_HOLD,	/* batches of closed pages: a write to one of them waits as long at most */
	PS_TIMED_END
};

/* The same kind of claim as struct ps_agent_stats, in the same page. An agent that knows of none of
 * this leaves zeros. */
struct ps_agent_times {
	uint64_t page_in_ns[PS_TIERS]; /* wait_ns, of each tier */
	struct ps_times timed[PS_TIMED_END];
};

/* ---- the picture of a VM's memory ----
 *
 * A cell is a stretch of a region's pages, all cells of a VM of one size, a power of two. It has
 * what most of its memory is in, and which part of its pages that is. Drawn by the agent, more
 * often while somebody looks; a claim, shown as such. Cells change one by one: a picture that is
 * read meanwhile is of two moments. */
enum ps_picture_state {
	PS_PICTURE_OUTSIDE, /* no guest RAM */
	PS_PICTURE_NONE,    /* no memory: never touched, discarded, in the balloon */
	PS_PICTURE_PRIVATE, /* the guest's own page of 4 KiB */
	PS_PICTURE_LARGE,   /* part of a huge page */
	PS_PICTURE_SHARED,  /* a frame */
	PS_PICTURE_BROKEN,  /* written since it was shared, not brought back yet */
	PS_PICTURE_ZERO,    /* given back as the zero page */
	PS_PICTURE_STAGED,
	PS_PICTURE_TWIN,
	PS_PICTURE_ZIPPED,
	PS_PICTURE_SWAPPED,
	PS_PICTURE_STATES
};

#define PS_PICTURE_CELLS 16384u /* at most: of 2 MiB each in a VM of 32 GiB */
#define PS_PICTURE_PARTS 15u	/* in so many parts of a cell's pages it is counted */
#define PS_PICTURE_CELL(state, part) ((uint8_t)((unsigned int)(state) << 4 | (part)))

struct ps_picture_region {
	uint32_t base; /* number in the VM of its page 0, which is page 0 of its first cell */
	uint32_t npages;
	uint32_t cell; /* its first */
	uint32_t cells;
};

struct ps_picture {
	uint64_t wanted_until; /* the daemon's: CLOCK_MONOTONIC in ns; somebody looks until then */
	uint64_t drawn_at;     /* the agent's, as all that follows: when all of it was last drawn;
				  0: never */
	uint32_t cell_pages;
	uint32_t nregions;
	struct ps_picture_region region[PS_REGIONS_MAX];
	uint8_t cell[PS_PICTURE_CELLS];
};

/* ---- the VM's likeness ----
 *
 * A sample of its pages by content (agent/likeness.c): what the daemon makes a sketch of
 * (policy/sketch.h). A claim, which spoils its own VM's place in plans at worst. seq is odd while
 * the agent writes. */
#define PS_LIKENESS_MAX 1792u

struct ps_likeness {
	uint32_t seq;
	uint32_t n;
	uint64_t below; /* of 2^32: with that chance a page is in the sample; 0: there is none */
	uint64_t pages; /* in it; of doubles only some are told, and n is less then */
	uint64_t hash[PS_LIKENESS_MAX];
};

struct ps_ring_map {
	struct ps_ring up;
	struct ps_ring down;
	_Alignas(4096) struct ps_agent_stats stats;
	struct ps_agent_times times;
	_Alignas(4096) uint8_t content[PS_CONTENT_SLOTS][PS_PAGE_SIZE];
	_Alignas(4096) struct ps_picture picture;   /* PS_RING_SIZE_PICTURE and more */
	_Alignas(4096) struct ps_likeness likeness; /* PS_RING_SIZE_LIKENESS */
};

/* What an agent maps that knows of no picture, one that does, one that samples its pages too. */
#define PS_RING_SIZE_PLAIN ((uint64_t)offsetof(struct ps_ring_map, picture))
#define PS_RING_SIZE_PICTURE ((uint64_t)offsetof(struct ps_ring_map, likeness))
#define PS_RING_SIZE_LIKENESS ((uint64_t)sizeof(struct ps_ring_map))

/* What PS_WIRE_VERSION stands for. Whoever has to change a number here changes the version too
 * (test-wire.c holds the rest of the layout); new figures come out of spare[]. */
_Static_assert(PS_CAUSE_END <= PS_CAUSES_ROOM, "a cause has its place in refused[]");
_Static_assert(sizeof(struct ps_agent_stats) == 215 * 8, "the layout of version 4");
_Static_assert(offsetof(struct ps_ring_map, content) - offsetof(struct ps_ring_map, stats) == 4096,
	       "the layout of version 4: figures are one page");
_Static_assert(sizeof(struct ps_entry) == 16, "the layout of version 4: four a cache line");

/* ---- decoding (wire.c: pure, tested alone) -------------------------------------------------- */

/* Checks a received control message: magic, known type, size == the type's exact size == len.
 * Returns the type, or -EPROTO / -EPROTONOSUPPORT (version in HELLO or WELCOME). */
int ps_msg_check(const void *buf, uint32_t len);
/* The exact size of a message type, 0 for an unknown one. */
uint32_t ps_msg_size(unsigned int type);
/* A stable lower-case name, as in JSON and logs: "pinned", "changed", ... never NULL. */
const char *ps_cause_name(unsigned int cause);
/* The same for enum ps_pins. */
const char *ps_pins_name(unsigned int pins);
/* The same for enum ps_picture_state, and the letter that stands for it in a picture. */
const char *ps_picture_name(unsigned int state);
char ps_picture_letter(unsigned int state);
/* 0 if name (PS_NAME_MAX bytes, NUL padded) is empty or made of [A-Za-z0-9._:@-] only, and is not
 * "." or "..", which a URL cannot name; -EINVAL. */
int ps_name_check(const char name[PS_NAME_MAX]);

#endif
