/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout.h"

#include <errno.h>
#include <stdlib.h>

#include "guest/model.h"

#define PERMILLE 1000u
#define VM_SALT 0x766d2073616c74ull
#define CHANGE_SALT 0x6368616e676573ull

static uint32_t slots(const struct layout *l)
{
	return l->pages / l->run;
}

/* Fisher and Yates, with the VM's own numbers. */
int layout_init(struct layout *l)
{
	uint32_t n = slots(l);
	uint64_t state = model_mix(l->seed ^ model_mix(l->vm));

	l->slot = malloc((n ? n : 1) * sizeof(*l->slot));
	if (!l->slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		l->slot[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)((state = model_mix(state)) % i), x = l->slot[k];

		l->slot[k] = l->slot[i - 1];
		l->slot[i - 1] = x;
	}
	return 0;
}

void layout_deinit(struct layout *l)
{
	free(l->slot);
	l->slot = NULL;
}

uint32_t layout_number(const struct layout *l, uint32_t page)
{
	return l->slot[page / l->run] * l->run + page % l->run;
}

uint32_t layout_equal_end(const struct layout *l)
{
	return (uint32_t)((uint64_t)slots(l) * l->equal / PERMILLE) * l->run;
}

static bool number_equal(const struct layout *l, uint32_t number)
{
	return number < layout_equal_end(l);
}

bool layout_equal(const struct layout *l, uint32_t page)
{
	return number_equal(l, layout_number(l, page));
}

bool layout_changes(const struct layout *l, uint32_t page)
{
	uint64_t key = l->seed ^ CHANGE_SALT ^ model_mix(l->vm) ^ (page / l->run);

	return model_mix(key) % PERMILLE < l->change;
}

static uint64_t seed_of_vm(const struct layout *l, uint32_t vm)
{
	return model_mix(l->seed ^ VM_SALT ^ model_mix(vm));
}

/* Pages that have changed are no longer what other VMs have. */
static uint64_t seed_of(const struct layout *l, uint32_t number, uint32_t generation)
{
	if (!generation && number_equal(l, number))
		return l->seed;
	return seed_of_vm(l, l->vm);
}

void layout_fill(const struct layout *l, uint32_t page, uint32_t generation, void *at)
{
	uint32_t number = layout_number(l, page);

	model_fill(at, seed_of(l, number, generation), number, generation);
}

uint64_t layout_word(const struct layout *l, uint32_t page, uint32_t generation)
{
	uint32_t number = layout_number(l, page);
	uint64_t content[MODEL_PAGE / sizeof(uint64_t)];

	model_fill(content, seed_of(l, number, generation), number, generation);
	return content[0];
}

void layout_fill_other(const struct layout *l, uint32_t vm, uint32_t number, void *at)
{
	model_fill(at, seed_of_vm(l, vm), number, 0);
}
