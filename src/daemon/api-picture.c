/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pictures of memory: /v1/vms/NAME/picture has all cells of a VM, /v1/picture a strip of at most
 * STRIP_CELLS of each VM. A cell is a letter (its state) and a hex digit (which part of its pages
 * are in that state, in fifteenths): a text of each for every region, as long as it has cells.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/api-internal.h"
#include "policy/picture.h"
#include "sys/cleanup.h"

#define STRIP_CELLS 512u

static json_t *legend(void)
{
	json_t *object = json_object();

	for (unsigned int s = 0; object && s < PS_PICTURE_STATES; s++) {
		const char letter[2] = {ps_picture_letter(s)};

		if (json_object_set_new(object, letter, json_string(ps_picture_name(s)))) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

static json_t *age(const struct view_picture *view)
{
	return view->age_ns == UINT64_MAX ? json_null() : json_real((double)view->age_ns / 1e9);
}

/* letters and digits: room for n and a NUL. */
static void spell(const uint8_t *cell, uint32_t n, char *letters, char *digits)
{
	for (uint32_t i = 0; i < n; i++) {
		letters[i] = ps_picture_letter(cell[i] >> 4);
		digits[i] = "0123456789abcdef"[cell[i] & 15];
	}
	letters[n] = digits[n] = '\0';
}

static json_t *region_object(const struct ps_picture *p, const struct ps_picture_region *r,
			     char *letters, char *digits)
{
	spell(&p->cell[r->cell], r->cells, letters, digits);
	return json_pack("{s:I, s:I, s:s, s:s}", "base", (json_int_t)r->base * PS_PAGE_SIZE, "size",
			 (json_int_t)r->npages * PS_PAGE_SIZE, "states", letters, "parts", digits);
}

static json_t *regions_array(const struct ps_picture *p, char *letters, char *digits)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < p->nregions; i++)
		if (json_array_append_new(list, region_object(p, &p->region[i], letters, digits))) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

/* What both routes work with: too large for a stack. */
struct desk {
	struct view_picture view;
	char letters[PS_PICTURE_CELLS + 1], digits[PS_PICTURE_CELLS + 1];
	json_t *list;
	struct daemon *daemon;
};

void api_get_picture(struct api_request *request)
{
	_cleanup_free_ struct desk *desk = malloc(sizeof(*desk));
	const char *name = request->path.segment[2];
	const struct ps_picture *p;

	if (!desk) {
		api_answer_json(request, 0, NULL);
		return;
	}
	if (view_picture(request->api->daemon, name, &desk->view)) {
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no VM named %s", name);
		return;
	}
	p = &desk->view.picture;
	api_answer_json(request, MHD_HTTP_OK,
			json_pack("{s:s, s:I, s:o, s:o, s:o}", "name", name, "cell_bytes",
				  (json_int_t)p->cell_pages * PS_PAGE_SIZE, "age_s",
				  age(&desk->view), "states", legend(), "regions",
				  regions_array(p, desk->letters, desk->digits)));
}

static int append_strip(const struct view_vm *vm, void *arg)
{
	struct desk *desk = arg;
	uint8_t strip[STRIP_CELLS];
	uint32_t joined, n;
	json_t *object;

	if (view_picture(desk->daemon, vm->name, &desk->view))
		return 0;
	n = picture_join(desk->view.picture.cell, desk->view.cells, strip, STRIP_CELLS, &joined);
	spell(strip, n, desk->letters, desk->digits);
	object = json_pack("{s:s, s:I, s:o, s:s, s:s}", "name", vm->name, "cell_bytes",
			   (json_int_t)desk->view.picture.cell_pages * PS_PAGE_SIZE * joined,
			   "age_s", age(&desk->view), "states", desk->letters, "parts",
			   desk->digits);
	return json_array_append_new(desk->list, object) ? -ENOMEM : 0;
}

void api_get_pictures(struct api_request *request)
{
	_cleanup_free_ struct desk *desk = malloc(sizeof(*desk));
	json_t *list = json_array();

	if (desk && list) {
		desk->list = list;
		desk->daemon = request->api->daemon;
	}
	if (!desk || !list || view_vms(request->api->daemon, append_strip, desk)) {
		json_decref(list);
		api_answer_json(request, 0, NULL);
		return;
	}
	api_answer_json(request, MHD_HTTP_OK,
			json_pack("{s:o, s:o}", "states", legend(), "vms", list));
}
