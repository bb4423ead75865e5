//go:build cgo && amd64

#define PATH bert_twin16

enum { LANES = 16, ROWS = 12 };

#pragma GCC optimize("O1") // small before fast
#define INTS
#define TILES
#include "twin.h"
#include "forward.c"
