// How the threads of a team wait for each other: asleep, as others may need the core.

#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define ENDED (UINT64_C(0xffffffff) << 32)

static int limit(bert_team *t) { return __atomic_load_n(&t->limit, __ATOMIC_SEQ_CST); }

// number is where the step's number lies: open's upper half.
static uint32_t *number(bert_team *t) { return (uint32_t *)&t->open + 1; }

// await returns when the step is another one, or before.
static void await(bert_team *t, uint64_t was) {
#ifdef __linux__
	__atomic_add_fetch(&t->asleep, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, number(t), FUTEX_WAIT_PRIVATE, (uint32_t)(was >> 32), 0, 0, 0);
	__atomic_sub_fetch(&t->asleep, 1, __ATOMIC_SEQ_CST);
#endif
}

// publish opens a step of so many parts to all.
static void publish(bert_team *t, uint64_t step, int parts) {
	__atomic_store_n(&t->open, step << 32 | (uint32_t)parts, __ATOMIC_SEQ_CST);
#ifdef __linux__
	if (__atomic_load_n(&t->asleep, __ATOMIC_SEQ_CST)) syscall(SYS_futex, number(t), FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0);
#endif
}
