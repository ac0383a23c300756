/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list-mem: the table of `pshare list --mem`: memory under pressure, as esxtop shows it. */
#ifndef PSHARE_CLI_LIST_MEM_H
#define PSHARE_CLI_LIST_MEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* "MEM/MiB: 1536.0 managed, ...", without a newline. */
void list_mem_line(FILE *out, const json_t *host, bool bytes);
/* The VMs. 0, or an exit code, said. */
int list_mem_table(FILE *out, const json_t *vms, bool bytes);
/* Who is held back, and why a means is not used, where there is something to say: whole lines. */
void list_mem_notes(FILE *out, const json_t *vms);

#endif
