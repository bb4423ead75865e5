// AMX's tiles, beside avx512.h's vectors: tmm0 to tmm3 hold sums, tmm4 and 5 inputs, tmm6 and 7
// weights. In assembler, as compilers want a flag for their own names.

#define TILES
#define INTS_IN_TILES 1

INLINE void begin_tiles(void) {
	static const struct {
		uint8_t palette, start, reserved[14];
		uint16_t bytes[16]; // a row
		uint8_t rows[16];
	} all_whole = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
	__asm__ volatile("ldtilecfg %0" : : "m"(all_whole));
}

INLINE void end_tiles(void) { __asm__ volatile("tilerelease"); }

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
#define TILE_LOAD(t, p, stride) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((size_t)(stride)) : "memory")
#define TILE_STORE(t, p) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((size_t)8 * LANES) : "memory")

// TILE_PRODUCT adds to sums t the products of inputs x and weights w.
#define TILE_PRODUCT(t, x, w) \
	if (precision == BERT_INT8) __asm__ volatile("tdpbusd %%tmm" #w ", %%tmm" #x ", %%tmm" #t : :); \
	else __asm__ volatile("tdpbf16ps %%tmm" #w ", %%tmm" #x ", %%tmm" #t : :)

INLINE void put_halves(uint8_t *p, vec v) {
	__m256i y;
	__asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(v));
	_mm256_storeu_si256((__m256i *)p, y);
}

// tile_sums are sums of at most 32 rows × PANEL outputs. The weights are read in order: what fetches
// ahead by itself does so here.
INLINE void tile_sums(const int precision, int rows, const uint8_t *q, size_t ldq, const uint8_t *w, float *sums) {
	const int tall = rows > 16;
	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
	for (size_t k = 0; k < ldq; k += 64, w += 64 * 2 * LANES) {
		TILE_LOAD(4, q + k, ldq);
		TILE_LOAD(6, w, 8 * LANES);
		TILE_LOAD(7, w + 4 * LANES, 8 * LANES);
		TILE_PRODUCT(0, 4, 6);
		TILE_PRODUCT(1, 4, 7);
		if (!tall) continue;
		TILE_LOAD(5, q + 16 * ldq + k, ldq);
		TILE_PRODUCT(2, 5, 6);
		TILE_PRODUCT(3, 5, 7);
	}
	TILE_STORE(0, sums);
	TILE_STORE(1, sums + LANES);
	if (!tall) return;
	TILE_STORE(2, sums + 32 * LANES);
	TILE_STORE(3, sums + 33 * LANES);
}

// peak_tiles is peak of tiles, of which the products are of zeros.
INLINE float peak_tiles(const int precision, long times) {
	begin_tiles();
	for (times *= 3; times > 0; times--) {
		TILE_PRODUCT(0, 4, 6);
		TILE_PRODUCT(1, 4, 7);
		TILE_PRODUCT(2, 5, 6);
		TILE_PRODUCT(3, 5, 7);
	}
	end_tiles();
	return 0;
}
