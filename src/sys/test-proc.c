/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts of the host from recorded texts, and from this one. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/proc.h"

static const char meminfo[] = "MemTotal:       24587964 kB\n"
			      "MemFree:        23871180 kB\n"
			      "MemAvailable:   23912848 kB\n"
			      "Broken:\n";

TEST("a line of meminfo is found by its whole name and given in bytes")
{
	uint64_t bytes = 7;

	CHECK_OK(sys_meminfo_line(meminfo, "MemAvailable", &bytes));
	CHECK_EQ(bytes, 23912848ull * 1024);
	CHECK_EQ(sys_meminfo_line(meminfo, "Mem", &bytes), -ENODATA);
	CHECK_EQ(sys_meminfo_line(meminfo, "Broken", &bytes), -ENODATA);
	CHECK_EQ(sys_meminfo_line("", "MemTotal", &bytes), -ENODATA);
	CHECK_EQ(bytes, 23912848ull * 1024);
}

TEST("the clocks of all CPUs are summed up, and a text without any gives none")
{
	CHECK_EQ(sys_cpuinfo_mhz("processor\t: 0\ncpu MHz\t\t: 2399.998\nflags: x\n"
				 "processor\t: 1\ncpu MHz\t\t: 1200.500\n"),
		 3599);
	CHECK_EQ(sys_cpuinfo_mhz("processor\t: 0\nBogoMIPS\t: 50.00\n"), 0);
	CHECK_EQ(sys_cpuinfo_mhz("cpu MHz"), 0);
}

TEST("this host's memory and this process's CPU time can be read")
{
	struct sys_meminfo info = {0};
	uint64_t cpu = 0, resident = 0;

	CHECK_OK(sys_meminfo(&info));
	CHECK_GT(info.total, info.available);
	CHECK_GT(info.available, 0);
	CHECK_OK(sys_self_cpu(&cpu));
	CHECK_GT(cpu, 0);
	CHECK_OK(sys_self_resident(&resident));
	CHECK_GT(resident, 0);
}

TEST("a write into one's own memory is made, or refused, but never ends the process")
{
	static const char text[] = "late";
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(page != MAP_FAILED);
	CHECK_OK(sys_write_own(page + 4094, text, sizeof(text)));
	CHECK_MEM(page + 4094, text, sizeof(text));
	REQUIRE_SYS(mprotect(page, 4096, PROT_READ));
	CHECK_EQ(sys_write_own(page, text, sizeof(text)), -EFAULT);
	REQUIRE_SYS(munmap(page + 4096, 4096));
	CHECK_EQ(sys_write_own(page + 4096, text, sizeof(text)), -EFAULT);
	CHECK_EQ(page[0], 0);
	munmap(page, 4096);
}

TEST("a process's name is shown without control characters")
{
	char comm[SYS_COMM_MAX] = "";

	REQUIRE_SYS(prctl(PR_SET_NAME, "a\x1b[1mb"));
	CHECK_OK(sys_comm(getpid(), comm));
	CHECK_STR(comm, "a?[1mb");
	CHECK_EQ(sys_comm(0x7ffffff0, comm), -ENOENT);
}

TEST("the stall of PSI is that of all tasks in the last ten seconds")
{
	double percent = -1;

	CHECK_OK(sys_memory_stall_line("some avg10=7.00 avg60=1.00 avg300=0.10 total=9\n"
				       "full avg10=2.50 avg60=0.00 avg300=0.00 total=5\n",
				       &percent));
	CHECK_EQ(percent, 2.5);
	CHECK_EQ(sys_memory_stall_line("some avg10=7.00\n", &percent), -ENODATA);
	CHECK_EQ(sys_memory_stall_line("", &percent), -ENODATA);
	CHECK_EQ(percent, 2.5);
}

TEST("a process's own memory and its parent can be read")
{
	struct sys_process_memory memory = {0};
	pid_t parent = 0;

	CHECK_OK(sys_process_memory(getpid(), &memory));
	CHECK_GT(memory.anonymous, 0);
	CHECK_GT(memory.resident, memory.anonymous);
	CHECK_OK(sys_process_parent(getpid(), &parent));
	CHECK_EQ(parent, getppid());
	CHECK_EQ(sys_process_parent(0x7ffffff0, &parent), -ENOENT);
}
