// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files of settings: what is taken reads back as it was; what is refused changes nothing. */
#include "fuzz/fuzz.h"
#include "policy/conf.h"

static void check_error(const char *err)
{
	fuzz_check(*err);
	for (const char *c = err; *c; c++)
		fuzz_check((unsigned char)*c >= ' ' && *c != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf conf, again, before;
	char err[POLICY_ERROR_MAX] = "", text[16384];
	int n;

	memset(&conf, 0x55, sizeof(conf));
	before = conf;
	if (conf_parse((const char *)data, size, &conf, err) < 0) {
		fuzz_check(memcmp(&conf, &before, sizeof(conf)) == 0);
		check_error(err);
	} else {
		n = conf_format(&conf, text, sizeof(text));
		fuzz_check(n >= 0);
		fuzz_check(conf_parse(text, (size_t)n, &again, err) == 0);
		for (int id = 0; id < SETTING_HOST_END; id++) {
			fuzz_check(!conf.line[id] == !again.line[id]);
			fuzz_check(!conf.line[id] || conf.value[id] == again.value[id]);
			fuzz_check(!conf.line[id] ||
				   setting_check((enum setting_id)id, conf.value[id], err) == 0);
		}
	}
	memset(&conf, 0, sizeof(conf));
	if (conf_assign((const char *)data, size, 0, &conf, err) < 0)
		check_error(err);
	return 0;
}
