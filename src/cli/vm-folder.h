/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm-folder: where the sockets, RAM files and the record of a VM lie that can be forked.
 */
#ifndef PSHARE_CLI_VM_FOLDER_H
#define PSHARE_CLI_VM_FOLDER_H

#include <jansson.h>
#include <sys/types.h>

#include "cli/cli.h"

#define VM_FOLDER_ENV "PSHARE_VM_DIR"

/* Makes an empty folder for the VM of that name: in the runtime folder, or, where that is not this
 * user's, in $XDG_RUNTIME_DIR. Folders there of VMs that have gone are removed. 0, or an exit code,
 * said, and folder is ""; that of a VM that lives is left alone. */
int vm_folder_make(const struct runtime *runtime, const char *name, char folder[PATH_MAX]);
/* Makes the RAM files in it, and names them as PSHARE_FORK_RAM has it. */
int vm_folder_rams(const char *folder, unsigned int rams, char list[PATH_MAX]);
/* Removes it, with all that is in it. */
void vm_folder_remove(const char *folder);

/* The record: how the VM was started, and what became of it. An object to be given back; NULL: said
 * (unless quiet). */
json_t *vm_record_read(const char *folder);
int vm_record_write(const char *folder, const json_t *record);

#endif
