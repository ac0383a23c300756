/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * expo: is a page of metrics what Prometheus wants, beyond what `promtool check metrics` tells?
 *
 * promtool lets pass (2.42, tried) two samples with one name and the same labels, of which
 * Prometheus keeps the first without a word; families whose samples are not next to each other;
 * histograms whose buckets shrink, or whose count is not the last bucket's; counters below 0; a
 * last line without its end.
 */
#ifndef PSHARE_TEST_EXPO_H
#define PSHARE_TEST_EXPO_H

#include <stdbool.h>
#include <stddef.h>

#define EXPO_WHY 256u

/* open: OpenMetrics 1.0, else text format 0.0.4. True if all is well; else why says what is not,
 * with the line. */
bool expo_check(const char *text, bool open, char why[EXPO_WHY]);

/* The value of the sample that begins so, up to its labels' end; NAN: there is none. */
double expo_value(const char *text, const char *sample);

#endif
