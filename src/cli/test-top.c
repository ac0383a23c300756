/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top, but for the terminal: keys, order, what stands where on a screen, CSV. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"
#include "harness/harness.h"

#define MIB 1048576.0

static const char status[] =
	"{\"state\": \"soft\", \"vms\": 3, \"domains\": 1, \"uptime_s\": 7384.5,"
	" \"pshare\": {\"shared\": 83886080, \"common\": 4194304, \"saving\": 79691776},"
	" \"memory\": {\"managed\": 1073741824, \"free\": 104857600, \"minfree\": 1048576,"
	"  \"balloon\": 2097152, \"zipped\": 8388608, \"zip_bytes\": 2097152, \"stalled\": true,"
	"  \"host\": {\"managed\": 2147483648, \"free\": 1073741824}},"
	" \"progress\": {\"done\": 0.5}}";

static const char vms[] =
	"{\"vms\": ["
	"{\"name\": \"web10\", \"pid\": 11, \"state\": \"sharing\", \"size\": 1073741824,"
	" \"SHRDSVD\": 1048576, \"overhead\": {\"agent\": 1048576, \"kernel\": 1048576},"
	" \"memory\": {\"MCTLSZ\": 1048576, \"SWR/s\": 524288, \"ACTVS\": 536870912}},"
	"{\"name\": \"web2\", \"pid\": 12, \"state\": \"sharing\", \"size\": 536870912,"
	" \"SHRDSVD\": 3145728, \"memory\": {\"held\": true, \"MCTLSZ\": 1048576}},"
	"{\"name\": \"db\", \"pid\": 13, \"state\": \"sharing\", \"size\": 268435456,"
	" \"SHRDSVD\": 2097152, \"memory\": {\"action\": {\"what\": \"suspend\", \"over\": false},"
	"  \"SWR/s\": 524288}}"
	"]}";

static struct top_sample sample;
static struct top_state state;
static struct top_history history;
static struct top_grid grid;

static void begin(unsigned int rows, unsigned int columns)
{
	json_t *of_status = json_loads(status, 0, NULL), *of_vms = json_loads(vms, 0, NULL);

	REQUIRE(of_status && of_vms);
	REQUIRE_OK(top_sample_read(&sample, of_status, of_vms));
	json_decref(of_status);
	json_decref(of_vms);
	top_state_init(&state, 5);
	history = (struct top_history){0};
	REQUIRE_OK(top_grid_resize(&grid, rows, columns));
}

static void end(void)
{
	top_sample_free(&sample);
	top_grid_free(&grid);
}

static void draw(const json_t *picture)
{
	struct top_scene scene = {.state = &state,
				  .sample = &sample,
				  .history = &history,
				  .picture = picture,
				  .clock = {.tm_hour = 13},
				  .there = true};

	top_sort(&state, &sample);
	top_draw(&grid, &scene);
}

/* A row of the grid, without blanks at its end. */
static const char *row(unsigned int r)
{
	static char text[512];
	unsigned int len = 0;

	for (unsigned int c = 0; c < grid.columns; c++) {
		text[c] = (char)grid.cell[r * grid.columns + c].c;
		if (text[c] != ' ')
			len = c + 1;
	}
	text[len] = '\0';
	return text;
}

static void press(uint32_t key)
{
	top_key(&state, key, &sample, top_list_rows(grid.rows));
}

static void order(const char *a, const char *b, const char *c)
{
	top_sort(&state, &sample);
	CHECK_STR(sample.vm[0].name, a);
	CHECK_STR(sample.vm[1].name, b);
	CHECK_STR(sample.vm[2].name, c);
}

TEST("what a daemon says is read, and what it does not say is 0")
{
	begin(24, 80);
	CHECK_STR(sample.vm[1].state, "held");
	CHECK_STR(sample.vm[2].state, "suspend");
	CHECK_EQ(sample.vm[0].value[top_field_find("OVHD")], 2 * MIB);
	CHECK_EQ(sample.host.swap_read, MIB);
	CHECK_EQ(sample.vm[1].value[top_field_find("SWCUR")], 0);
	REQUIRE_OK(top_sample_read(&sample, NULL, NULL));
	CHECK_EQ(sample.n, 0);
	draw(NULL);
	CHECK_IN("no VM is here", row(TOP_HEAD_ROWS + 1));
	end();
}

TEST("head lines are esxtop's, and each field stands under its title, numbers to the right")
{
	begin(24, 80);
	draw(NULL);
	CHECK_STR(row(0),
		  "13:00:00 up 2:03, 3 VMs in 1 domain; MEM overcommit avg: 0.00, 0.00, 0.00");
	CHECK_STR(row(1), "PMEM  /MiB: 2048 total: 0 VMs, 1024 other, 1024 free");
	CHECK_IN("0 ursvd, soft state, stalled", row(2));
	CHECK_STR(row(3), "PSHARE/MiB: 80.0 shared, 4.0 common: 76.0 saving; 0.0 zero, 50 % done");
	CHECK_STR(row(5), "ZIP   /MiB: 8.0 zipped, 6.0 saved: 0.00 z/s, 0.00 u/s");
	CHECK_STR(row(10),
		  "NAMEv  STATE      SIZE  GRANT  SHRD  SHRDSVD  ZERO  CONS  MCTLSZ  ZIP  SWCUR");
	CHECK_STR(row(11),
		  "db     suspend   256.0    0.0   0.0      2.0   0.0   0.0     0.0  0.0    0.0");
	CHECK_STR(row(13),
		  "web10  sharing  1024.0    0.0   0.0      1.0   0.0   0.0     1.0  0.0    0.0");
	end();
}

TEST("no width and no height is written beyond, and what does not fit is marked")
{
	static const unsigned int sizes[][2] = {{0, 0},	 {1, 1},   {3, 200},
						{60, 9}, {12, 40}, {200, 300}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		begin(sizes[i][0], sizes[i][1]);
		for (unsigned int s = TOP_LIST; s <= TOP_PICTURE; s++) {
			state.screen = (enum top_screen)s;
			state.left = i;
			draw(NULL);
		}
		end();
	}
	begin(24, 40);
	draw(NULL);
	CHECK_EQ(row(10)[39], '>');
	press(KEY_OF_RIGHT);
	press(KEY_OF_RIGHT);
	draw(NULL);
	CHECK_IN("NAMEv  GRANT", row(10));
	end();
}

TEST("keys sort as esxtop's do: the largest first, names as people count, and the other way again")
{
	begin(24, 80);
	order("db", "web2", "web10");
	press('M');
	order("web10", "web2", "db");
	press('S');
	order("web2", "db", "web10");
	press('S');
	order("web10", "db", "web2");
	press('B');
	order("web2", "web10", "db"); /* equal ones by name */
	press('N');
	order("db", "web2", "web10");
	press('r');
	order("web10", "web2", "db");
	press('>');
	CHECK_EQ(state.sort, TOP_STATE);
	press('<');
	press('<');
	CHECK_EQ(state.sort, top_field_find("SWCUR"));
	end();
}

TEST("a delay is asked for, and one that is none changes nothing")
{
	begin(24, 80);
	press('s');
	press('1');
	press('x');
	press('2');
	press(KEY_OF_BACKSPACE);
	press('.');
	press('5');
	press(KEY_OF_ENTER);
	CHECK_EQ(state.delay, 1.5);
	press('s');
	press('0');
	press(KEY_OF_ENTER);
	CHECK_EQ(state.delay, 1.5);
	CHECK_IN("1 to 86400", state.message);
	press('s');
	for (int i = 0; i < 100; i++)
		press('9');
	press(KEY_OF_ESCAPE);
	CHECK_EQ(state.delay, 1.5);
	CHECK(!state.asking);
	end();
}

TEST("fields are chosen by their letters; each has one of its own")
{
	begin(24, 80);
	for (unsigned int i = 1; i < TOP_FIELDS; i++) {
		CHECK(top_fields[i].title && top_fields[i].letter);
		for (unsigned int k = 1; k < i; k++) {
			CHECK_NE(top_fields[k].letter, top_fields[i].letter);
			CHECK(strcmp(top_fields[k].title, top_fields[i].title) != 0);
		}
	}
	press('f');
	CHECK_EQ(state.screen, TOP_CHOOSE);
	press('a'); /* STATE goes */
	press('h'); /* SZTGT comes */
	press(KEY_OF_ENTER);
	CHECK_EQ(state.screen, TOP_LIST);
	draw(NULL);
	CHECK_IN("NAMEv    SIZE", row(10));
	CHECK_IN("CONS  SZTGT  MCTLSZ", row(10));
	end();
}

TEST("a VM stays chosen when others come and go, and the list follows")
{
	begin(15, 80); /* room for three */
	top_sort(&state, &sample);
	press(KEY_OF_DOWN);
	CHECK_STR(state.chosen, "db"); /* the first press shows where one is */
	press(KEY_OF_DOWN);
	CHECK_STR(state.chosen, "web2");
	press(KEY_OF_END);
	CHECK_STR(state.chosen, "web10");
	press(KEY_OF_HOME);
	CHECK_STR(state.chosen, "db");
	snprintf(state.chosen, sizeof(state.chosen), "gone");
	CHECK_EQ(top_chosen(&state, &sample), 0);
	press(KEY_OF_PAGE_DOWN);
	CHECK_STR(state.chosen, "web10");
	end();
}

TEST("keys end it, go back, and say so when they mean nothing")
{
	begin(24, 80);
	press('z');
	CHECK_IN("no such key", state.message);
	press(' ');
	CHECK(state.refresh && !*state.message);
	press('h');
	CHECK_EQ(state.screen, TOP_HELP);
	press('q');
	CHECK_EQ(state.screen, TOP_LIST);
	press('p');
	CHECK_EQ(state.screen, TOP_PICTURE);
	press('q');
	CHECK_EQ(state.screen, TOP_LIST);
	CHECK(!state.quit);
	press('q');
	CHECK(state.quit);
	end();
}

TEST("a picture fills the screen from its cells, joined until they fit")
{
	static char cells[4097], parts[4097];
	json_t *picture;

	memset(cells, 's', 4096);
	memset(parts, 'f', 4096);
	memset(cells + 2048, '0', 1024);
	memset(cells + 3072, 'w', 1024);
	picture = json_pack("{s:i, s:f, s:[{s:s, s:s}]}", "cell_bytes", 4096, "age_s", 7.2,
			    "regions", "states", cells, "parts", parts);
	begin(24, 64);
	state.screen = TOP_PICTURE;
	draw(picture);
	CHECK_IN("a character is 16 KiB; drawn 7 s ago", row(0));
	CHECK_IN("shared 50%", row(2));
	CHECK_IN("swapped 25%", row(3));
	CHECK_EQ(strspn(row(4), "s"), 64);
	CHECK_EQ(strspn(row(4 + 8), "0"), 64);
	CHECK_EQ(strspn(row(4 + 15), "w"), 64);
	CHECK_STR(row(4 + 16), "");
	json_decref(picture);
	picture = json_loads("{\"cell_bytes\": 4096, \"regions\": [{\"states\": \"s?\\u00e4ss\","
			     " \"parts\": \"f\"}, {\"states\": 7}, 8]}",
			     0, NULL);
	draw(picture);
	CHECK_STR(row(5), "s"); /* 100 % is wider: the legend has a row more */
	json_decref(picture);
	draw(NULL);
	CHECK_IN("no picture of it yet", row(4));
	end();
}

TEST("history keeps what was last, and shows it against the most; means go by time")
{
	uint8_t level[8];
	double most;

	history = (struct top_history){0};
	CHECK_EQ(top_history_levels(&history, 8, level, &most), 0);
	for (int i = 0; i < 2000; i++)
		top_history_note(&history, i, i < 1999 ? 1999 - i : 1e6, i % 5, i < 1990 ? 0 : 1);
	CHECK_EQ(history.n, TOP_HISTORY);
	CHECK_EQ(top_history_levels(&history, 8, level, &most), 8);
	CHECK_EQ(level[7], 8);
	CHECK_EQ(level[0], 1); /* little, but not nothing */
	CHECK_EQ(most, 1e6);
	CHECK_EQ(top_history_overcommit(&history, 10), 1);
	CHECK_EQ(top_history_overcommit(&history, 20), 0.5);
}

TEST("a bar is ASCII where the terminal shows no more")
{
	struct top_grid narrow = {0}, wide = {.wide = true};

	CHECK_EQ(top_bar(&narrow, 8), '@');
	CHECK_EQ(top_bar(&wide, 8), 0x2588);
	CHECK_EQ(top_bar(&wide, 0), ' ');
	CHECK_EQ(top_bar(&narrow, 99), '@');
}

/* ---- CSV ------------------------------------------------------------------------------------ */

static unsigned int cells_of(const char *line)
{
	unsigned int n = 1;

	for (; *line && *line != '\n'; line++)
		n += *line == ',';
	return n;
}

/* The cell of a line that stands below that counter. */
static double below(const char *head, const char *line, const char *counter)
{
	const char *at = strstr(head, counter);
	unsigned int n = 0;

	REQUIRE(at != NULL);
	for (const char *c = head; c < at; c++)
		n += *c == ',';
	for (; n; n--)
		line = strchr(line, ',') + 1;
	return line[1] == '"' ? NAN : strtod(line + 1, NULL);
}

TEST("batch mode writes performance logs: one header, as many cells in each line, VMs by their ids")
{
	struct tm utc = {.tm_year = 126, .tm_mon = 10, .tm_mday = 29, .tm_hour = 9};
	struct top_sample later = {0};
	char *text = NULL, *line, *third;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	begin(1, 1);
	top_history_add(&history, 1, &sample.host);
	later.host = sample.host;
	later.vm = &sample.vm[1]; /* web10 has gone */
	later.n = 1;
	top_csv_head(out, "esx\"1,x", &sample);
	top_csv_line(out, &utc, &sample, &sample, &history);
	top_csv_line(out, &utc, &sample, &later, &history);
	fclose(out);
	line = strchr(text, '\n') + 1;
	third = strchr(line, '\n') + 1;
	CHECK_EQ(strncmp(text, "\"(PDH-CSV 4.0) (UTC)(0)\",\"\\\\esx_1_x\\Memory\\", 43), 0);
	CHECK_EQ(strncmp(line, "\"11/29/2026 09:00:00\",\"", 23), 0);
	CHECK_EQ(cells_of(line), cells_of(text));
	CHECK_EQ(cells_of(third), cells_of(text));
	CHECK_EQ(below(text, line, "\\Memory\\Machine MBytes"), 2048);
	CHECK_EQ(below(text, line, "\\Memory\\Kernel State"), 1);
	CHECK_EQ(below(text, line, "\\pshare Memory\\State"), 2);
	CHECK_EQ(below(text, line, "\\Memory\\PShare Shared MBytes"), 80);
	CHECK_EQ(below(text, line, "\\Memory\\Memory Overcommit (1 Minute Avg)"), 0.75);
	CHECK_EQ(below(text, line, "\\Group Memory(11:web10)\\Memory Size MBytes"), 1024);
	CHECK_EQ(below(text, line, "\\Group Memory(11:web10)\\% Active Slow Estimate"), 50);
	CHECK_EQ(below(text, line, "\\Group Memory(12:web2)\\Shared Saved MBytes"), 3);
	CHECK_EQ(below(text, third, "\\Group Memory(12:web2)\\Shared Saved MBytes"), 3);
	CHECK(isnan(below(text, third, "\\Group Memory(11:web10)\\Memory Size MBytes")));
	free(text);
	end();
}
