/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pshared: shares the memory of the virtual machines of one host inside trust domains. */
#include <stdlib.h>

#include "daemon/mainloop.h"
#include "daemon/options.h"
#include "daemon/setup.h"

int main(int argc, char **argv)
{
	enum options_action action;
	struct options options;
	struct daemon daemon;
	int r;

	if (options_parse(argc, argv, &options, &action) < 0)
		return EXIT_FAILURE;
	if (action == OPTIONS_EXIT)
		return EXIT_SUCCESS;
	log_set_level(options.log_level);
	if (options.check)
		return daemon_check(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	r = daemon_init(&daemon, &options);
	if (r == 0)
		r = daemon_run(&daemon);
	daemon_deinit(&daemon);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
