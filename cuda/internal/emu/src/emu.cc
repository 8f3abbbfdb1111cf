/* The scheduler of the emulation: fibers, barriers, shared memory. */
#include "emu.h"

#include <csetjmp>
#include <csignal>
#include <map>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "host.h"

#if defined(__x86_64__)
/* Saves the callee-saved registers of the running fiber and continues another one. */
extern "C" void emuSwitch(void **from, void *to);
__asm__(R"(
	.text
	.globl emuSwitch
	.hidden emuSwitch
emuSwitch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
)");
#else
#include <ucontext.h>
#endif

namespace emu {

namespace {

enum { Ready, AtBlock, AtWarp, Done };
constexpr size_t stackSize = 64 << 10;
constexpr unsigned mostThreads = 1024;

std::vector<Fiber> fibers;
Fiber home; /* the scheduler */
const Entry *entry;
void **runningParams;
Entry *entries;
sigjmp_buf escape;
bool inside;
struct sigaction before;
std::map<std::pair<int, size_t>, char *> sharedMemory;
unsigned launchCount, blockCount;
uint64_t lanes[2][mostThreads];
#if !defined(__x86_64__)
std::vector<ucontext_t> contexts;
ucontext_t homeContext;
#endif

void yield() {
	Fiber *f = self;
#if defined(__x86_64__)
	emuSwitch(&f->sp, home.sp);
#else
	swapcontext(&contexts[f - fibers.data()], &homeContext);
#endif
}

void body() {
	entry->call(entry->function, runningParams);
	self->state = Done;
	yield();
}

void prepare(Fiber &f) {
	if (f.stack == nullptr) {
		f.stack = static_cast<char *>(mmap(nullptr, stackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
#if defined(__x86_64__)
	void **top = reinterpret_cast<void **>(f.stack + stackSize);
	*--top = nullptr;
	*--top = reinterpret_cast<void *>(body);
	f.sp = top - 6;
#else
	ucontext_t &c = contexts[&f - fibers.data()];
	getcontext(&c);
	c.uc_stack = {f.stack, 0, stackSize};
	makecontext(&c, body, 0);
#endif
	f.state = Ready;
}

void resume(Fiber &f) {
	self = &f;
#if defined(__x86_64__)
	emuSwitch(&home.sp, f.sp);
#else
	swapcontext(&homeContext, &contexts[&f - fibers.data()]);
#endif
}

/* All threads from first to last wait for the same thing: they go on. A mixture fails. */
enum Agreement { Nobody, Everybody, Mixed };
Agreement agree(unsigned first, unsigned last, int state) {
	unsigned waiting = 0;
	for (unsigned i = first; i < last; i++) {
		waiting += fibers[i].state == state && fibers[i].line == fibers[first].line;
	}
	return waiting == last - first ? Everybody : waiting == 0 ? Nobody : Mixed;
}

bool runWarp(unsigned first, unsigned last, bool reverse) {
	for (;;) {
		for (unsigned k = first; k < last; k++) {
			Fiber &f = fibers[reverse ? first + last - 1 - k : k];
			if (f.state == Ready) {
				resume(f);
			}
		}
		bool warp = false;
		for (unsigned i = first; i < last; i++) {
			warp |= fibers[i].state == AtWarp;
		}
		if (!warp) {
			return true;
		}
		if (agree(first, last, AtWarp) != Everybody) {
			return false;
		}
		for (unsigned i = first; i < last; i++) {
			fibers[i].state = Ready;
			fibers[i].meetings++;
		}
	}
}

bool runBlock(unsigned threads, bool reverse) {
	for (;;) {
		unsigned warps = (threads + 31) / 32;
		for (unsigned k = 0; k < warps; k++) {
			unsigned w = reverse ? warps - 1 - k : k;
			unsigned last = (w + 1) * 32;
			if (!runWarp(w * 32, last < threads ? last : threads, reverse)) {
				return false;
			}
		}
		bool waiting = false;
		for (unsigned i = 0; i < threads; i++) {
			waiting |= fibers[i].state == AtBlock;
		}
		if (!waiting) {
			return true;
		}
		if (agree(0, threads, AtBlock) != Everybody) {
			return false;
		}
		for (unsigned i = 0; i < threads; i++) {
			fibers[i].state = Ready;
			fibers[i].barriers++;
			fibers[i].meetings++;
		}
	}
}

void crashed(int signal, siginfo_t *info, void *context) {
	if (inside) {
		abandon(BadAddress);
	}
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal, info, context);
	}
}

void poison() {
	for (auto &m : sharedMemory) {
		memset(m.second, 0xff, m.first.second);
	}
}

} // namespace

Fiber *self;
uint3 block, blockSize, gridSize;

void Entry::add() {
	next = entries;
	entries = this;
}

const Entry *find(const char *name) {
	for (const Entry *e = entries; e != nullptr; e = e->next) {
		if (strcmp(e->name, name) == 0) {
			return e;
		}
	}
	return nullptr;
}

/* Memory that ends where an inaccessible page begins. */
char *guarded(size_t bytes, size_t *mapped) {
	size_t page = sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page;
	char *p = static_cast<char *>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (p == MAP_FAILED) {
		return nullptr;
	}
	mprotect(p + size, page, PROT_NONE);
	if (mapped != nullptr) {
		*mapped = size + page;
	}
	return p + size - bytes;
}

void blockBarrier(int line) {
	self->state = AtBlock;
	self->line = line;
	yield();
}

void warpBarrier(int line) {
	self->state = AtWarp;
	self->line = line;
	yield();
}

uint64_t exchange(int line, uint64_t mine, unsigned source) {
	uint64_t *own = lanes[self->turn++ & 1] + self->warp * 32;
	own[self->lane] = mine;
	warpBarrier(line);
	return own[source & 31];
}

void *shared(int line, size_t bytes) {
	char *&p = sharedMemory[{line, bytes}];
	if (p == nullptr) {
		p = guarded(bytes, nullptr);
		memset(p, 0xff, bytes);
	}
	return p;
}

uint3 threadNow() { return self->thread; }
uint3 blockNow() { return block; }
uint3 blockSizeNow() { return blockSize; }
uint3 gridSizeNow() { return gridSize; }
unsigned laneNow() { return self->lane; }

bool running() { return inside; }
const char *kernel() { return entry->name; }
unsigned launches() { return launchCount; }
unsigned blockNumber() { return blockCount; }
void abandon(Outcome why) { siglongjmp(escape, why); }

bool inStack(uintptr_t at) { return at - reinterpret_cast<uintptr_t>(self->stack) < stackSize; }

bool inShared(uintptr_t at, size_t n) {
	for (auto &m : sharedMemory) {
		uintptr_t from = reinterpret_cast<uintptr_t>(m.second);
		if (at >= from && at + n <= from + m.first.second) {
			return true;
		}
	}
	return false;
}

Outcome launch(const Entry *e, uint3 grid, uint3 size, void **params, bool reverse) {
	unsigned threads = size.x * size.y * size.z;
	fibers.resize(mostThreads);
#if !defined(__x86_64__)
	contexts.resize(mostThreads);
#endif
	entry = e;
	runningParams = params;
	gridSize = grid;
	blockSize = size;
	launchCount++;
	struct sigaction own = {};
	own.sa_sigaction = crashed;
	own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaction(SIGSEGV, &own, &before);
	volatile Outcome outcome = Ended;
	if (int why = sigsetjmp(escape, 1)) {
		outcome = Outcome(why);
	} else {
		inside = true;
		for (unsigned b = 0; b < grid.x * grid.y * grid.z && outcome == Ended; b++) {
			unsigned k = reverse ? grid.x * grid.y * grid.z - 1 - b : b;
			block = {k % grid.x, k / grid.x % grid.y, k / grid.x / grid.y};
			blockCount = k;
			poison();
			for (unsigned i = 0; i < threads; i++) {
				Fiber &f = fibers[i];
				f.thread = {i % size.x, i / size.x % size.y, i / size.x / size.y};
				f.lane = i % 32;
				f.warp = i / 32;
				f.turn = f.barriers = f.meetings = 0;
				f.number = i;
				prepare(f);
			}
			if (!runBlock(threads, reverse)) {
				outcome = Diverged;
			}
		}
	}
	inside = false;
	sigaction(SIGSEGV, &before, nullptr);
	return outcome;
}

} // namespace emu
