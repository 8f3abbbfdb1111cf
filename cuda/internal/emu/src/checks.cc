/* Looks at every access that kernels make, as compute-sanitizer does: kernels.cc is compiled with -fsanitize=thread for it, and these functions stand in for the
   library behind that. An access must lie in memory of the device, of its block or of its thread, be aligned, and not race: of two accesses to one place, one of them a write, by
   two threads, one has to come before the other by a barrier of their block, or of their warp. */
#include "host.h"

#include <cstdio>
#include <unordered_map>

extern "C" {
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));
}

namespace emu {

namespace {

/* Who touched a place last, and when. crowd: several blocks did, or several warps or threads since the last barrier of either kind. */
struct Touch {
	unsigned launch, block, barriers, meetings;
	unsigned short thread;
	enum Crowd : unsigned char { One, Threads, Warps, Blocks } crowd;
};
struct Cell {
	Touch read, write;
};
constexpr size_t page = 4096, granule = 2;
std::unordered_map<uintptr_t, Cell *> pages;

Cell &cell(uintptr_t at) {
	static uintptr_t last = 0;
	static Cell *cells;
	if (at / page != last || cells == nullptr) {
		Cell *&found = pages[at / page];
		if (found == nullptr) {
			found = static_cast<Cell *>(calloc(page / granule, sizeof(Cell)));
		}
		last = at / page;
		cells = found;
	}
	return cells[at % page / granule];
}

/* Whether an access before, which was made in this launch, can happen at the same time as one that the running thread makes now. */
bool together(const Touch &t, bool inBlock) {
	if (t.launch != launches()) {
		return false;
	}
	if (t.crowd == Touch::Blocks || t.block != blockNumber()) {
		return !inBlock;
	}
	if (t.barriers != self->barriers) {
		return false;
	}
	if (t.crowd == Touch::Warps || t.thread / 32 != self->warp) {
		return true;
	}
	return t.meetings == self->meetings && (t.crowd == Touch::Threads || t.thread != self->number);
}

void note(Touch &t, bool inBlock) {
	Touch now{launches(), blockNumber(), self->barriers, self->meetings, static_cast<unsigned short>(self->number), Touch::One};
	if (t.launch == now.launch && (!inBlock || t.block == now.block)) {
		if (t.crowd == Touch::Blocks || t.block != now.block) {
			now.crowd = Touch::Blocks;
		} else if (t.barriers == now.barriers && (t.crowd == Touch::Warps || t.thread / 32 != self->warp)) {
			now.crowd = Touch::Warps;
		} else if (t.barriers == now.barriers && t.meetings == now.meetings && (t.crowd == Touch::Threads || t.thread != now.thread)) {
			now.crowd = Touch::Threads;
		}
	}
	t = now;
}

[[noreturn]] void refuse(Outcome why, const char *what, uintptr_t at) {
	fprintf(stderr, "emu: %s: thread %u of block %u %s at %p\n", kernel(), self->number, blockNumber(), what, reinterpret_cast<void *>(at));
	abandon(why);
}

void look(uintptr_t at, size_t n, bool write) {
	static uintptr_t from, to; /* where accesses were good, in this launch */
	static unsigned checked;
	if (!running() || inStack(at)) {
		return;
	}
	if (at % n != 0) {
		refuse(Misaligned, "is not aligned", at);
	}
	bool inBlock = inShared(at, n);
	if (!inBlock && (checked != launches() || at < from || at + n > to)) {
		if (!place(at, n, &from, &to)) {
			to = from;
			if (!write && at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end)) {
				return; /* a constant of the kernel */
			}
			refuse(BadAddress, write ? "writes what is no memory of the device" : "reads what is no memory of the device", at);
		}
		checked = launches();
	}
	Cell &c = cell(at);
	if (together(c.write, inBlock)) {
		refuse(Raced, write ? "writes what another thread writes at the same time" : "reads what another thread writes at the same time", at);
	}
	if (write && together(c.read, inBlock)) {
		refuse(Raced, "writes what another thread reads at the same time", at);
	}
	note(write ? c.write : c.read, inBlock);
}

} // namespace

} // namespace emu

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
#define LOOK(n)                                                                                                   \
	void __tsan_read##n(void *p) { emu::look(reinterpret_cast<uintptr_t>(p), n, false); }                          \
	void __tsan_write##n(void *p) { emu::look(reinterpret_cast<uintptr_t>(p), n, true); }
LOOK(1)
LOOK(2)
LOOK(4)
LOOK(8)
static void each(void *p, size_t n, bool write) {
	for (size_t i = 0; i < n; i += 2) {
		emu::look(reinterpret_cast<uintptr_t>(p) + i, 2, write);
	}
}
void __tsan_read16(void *p) { each(p, 16, false); }
void __tsan_write16(void *p) { each(p, 16, true); }
void __tsan_read_range(void *p, size_t n) { each(p, n, false); }
void __tsan_write_range(void *p, size_t n) { each(p, n, true); }
}
