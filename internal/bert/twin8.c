//go:build cgo && amd64

#define PATH bert_twin8

enum { LANES = 8, ROWS = 6 };

#pragma GCC optimize("O1") // small before fast
#include "twin.h"
#include "forward.c"
