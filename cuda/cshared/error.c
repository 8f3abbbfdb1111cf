//go:build cuda

#include <stdio.h>

static _Thread_local char text[1024];

void spdSetError(const char *message) { snprintf(text, sizeof text, "%s", message); }

__attribute__((visibility("default"))) const char *spd_error(void) { return text; }
