/* The streams, events and graphs of the stand-in driver. */
#include "driver.h"

#include <sys/mman.h>

namespace driver {

static std::set<CUgraph> graphs;
static std::set<CUgraphExec> execs;
static std::set<CUevent> events;

static bool isStream(CUstream s) {
	for (auto &c : contexts) {
		for (CUstream own : c->streams) {
			if (own == s) {
				return true;
			}
		}
	}
	return false;
}

CUresult resolve(CUstream *stream) {
	if (CUresult err = usable()) {
		return err;
	}
	if (*stream == nullptr) {
		*stream = &here()->null;
		return CUDA_SUCCESS;
	}
	return isStream(*stream) && (*stream)->ctx == here() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

bool forbidden() {
	bool any = false;
	for (auto &c : contexts) {
		for (CUstream s : c->streams) {
			bool own = s->recorder == std::this_thread::get_id() && s->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
			if (s->recording != nullptr && (own || s->mode == CU_STREAM_CAPTURE_MODE_GLOBAL)) {
				any = s->spoiled = true;
			}
		}
	}
	return any;
}

/* Spoils what blocking streams record when the default stream is used. */
static bool implied(CUcontext c) {
	bool any = false;
	for (CUstream s : c->streams) {
		if (s->recording != nullptr && !(s->flags & CU_STREAM_NON_BLOCKING)) {
			any = s->spoiled = true;
		}
	}
	return any;
}

bool awaited(const void *p, size_t n) {
	uintptr_t from = reinterpret_cast<uintptr_t>(p);
	auto uses = [=](const CUstream_st &s) {
		for (const Work &w : s.queue) {
			for (const emu::Use &u : w.uses) {
				uintptr_t at = reinterpret_cast<uintptr_t>(u.at);
				if (at < from + n && at + (u.bytes > 0 ? u.bytes : 1) > from) {
					return true;
				}
			}
		}
		return false;
	};
	for (auto &c : contexts) {
		bool any = uses(c->null);
		for (CUstream s : c->streams) {
			any = any || uses(*s);
		}
		if (any) {
			return true;
		}
	}
	return false;
}

/* Runs the first work of a stream. All memory must be permitted. */
CUresult runFirst(CUstream s) {
	Work w = std::move(s->queue.front());
	s->queue.pop_front();
	claim(w, -1);
	return w.run();
}

CUresult drain(CUstream s) {
	if (s->queue.empty()) {
		return s->ctx->lost;
	}
	for (auto &m : memory) {
		permit(m.first, m.second, PROT_READ | PROT_WRITE);
	}
	while (!s->queue.empty()) {
		if (s->ctx->lost != CUDA_SUCCESS) {
			claim(s->queue.front(), -1);
			s->queue.pop_front();
		} else if (CUresult err = runFirst(s)) {
			s->ctx->lost = err;
		}
	}
	for (auto &m : memory) {
		permitRest(m.first, m.second);
	}
	return s->ctx->lost;
}

CUresult drainAll(CUcontext c) {
	drain(&c->null);
	for (CUstream s : c->streams) {
		drain(s);
	}
	return c->lost;
}

} // namespace driver

using namespace driver;

CUresult emu::enqueue(CUstream stream, std::vector<Use> uses, std::function<CUresult()> run) {
	Work work{std::move(uses), std::move(run)};
	std::lock_guard<std::recursive_mutex> l(lock);
	CUstream s = stream;
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		if (s->spoiled) {
			return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
		}
		s->recording->nodes.push_back(std::move(work));
		return CUDA_SUCCESS;
	}
	CUcontext c = s->ctx;
	if (s == &c->null) {
		if (implied(c)) {
			return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
		}
		for (CUstream other : c->streams) {
			if (!(other->flags & CU_STREAM_NON_BLOCKING)) {
				drain(other);
			}
		}
	} else if (!(s->flags & CU_STREAM_NON_BLOCKING)) {
		drain(&c->null);
	}
	claim(work, 1);
	s->queue.push_back(std::move(work));
	return sharing ? drain(s) : c->lost;
}

bool emu::recording(CUstream stream) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return isStream(stream) && stream->recording != nullptr;
}

bool emu::forbidden() {
	std::lock_guard<std::recursive_mutex> l(lock);
	return driver::forbidden();
}

CUcontext emu::context() { return driver::here(); }

API(cuStreamCreate)(CUstream *s, unsigned flags) {
	ENTER_CONTEXT(cuStreamCreate);
	if (flags > CU_STREAM_NON_BLOCKING) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	*s = new CUstream_st;
	(*s)->ctx = here();
	(*s)->flags = flags;
	here()->streams.push_back(*s);
	return CUDA_SUCCESS;
}
/* The memory of a stream stays, so that no later one has its handle. */
API(cuStreamDestroy_v2)(CUstream s) {
	ENTER_CONTEXT(cuStreamDestroy);
	if (!isStream(s)) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	if (s->recording != nullptr) {
		s->spoiled = true;
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	drain(s);
	auto &all = s->ctx->streams;
	for (size_t i = 0; i < all.size(); i++) {
		if (all[i] == s) {
			all.erase(all.begin() + i);
			break;
		}
	}
	return CUDA_SUCCESS;
}
API(cuStreamGetCtx)(CUstream s, CUcontext *c) {
	ENTER_CONTEXT(cuStreamGetCtx);
	*c = s == nullptr ? here() : isStream(s) ? s->ctx : nullptr;
	return *c == nullptr ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}
API(cuStreamSynchronize)(CUstream s) {
	ENTER_WAITING(cuStreamSynchronize);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		s->spoiled = true;
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return s == &here()->null && implied(here()) ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : drain(s);
}
API(cuStreamQuery)(CUstream s) {
	ENTER_CONTEXT(cuStreamQuery);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		s->spoiled = true;
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return s->queue.empty() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
API(cuStreamWaitEvent)(CUstream s, CUevent e, unsigned) {
	ENTER_CONTEXT(cuStreamWaitEvent);
	if (events.count(e) == 0) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	if (e->captured) { /* it would draw the stream into what is recorded, or come from elsewhere */
		return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
	}
	std::shared_ptr<Moment> moment = e->last;
	return moment == nullptr ? CUDA_SUCCESS : emu::enqueue(s, {}, [=] {
		while (!moment->passed && !moment->stream->queue.empty()) {
			if (CUresult err = runFirst(moment->stream)) {
				return err;
			}
		}
		return CUDA_SUCCESS;
	});
}
API(cuStreamBeginCapture_v2)(CUstream s, CUstreamCaptureMode mode) {
	ENTER_CONTEXT(cuStreamBeginCapture);
	if (s == nullptr) {
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		return CUDA_ERROR_ILLEGAL_STATE;
	}
	s->recording = new CUgraph_st;
	s->mode = mode;
	s->recorder = std::this_thread::get_id();
	s->spoiled = false;
	return CUDA_SUCCESS;
}
API(cuStreamEndCapture)(CUstream s, CUgraph *g) {
	ENTER_CONTEXT(cuStreamEndCapture);
	*g = nullptr;
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording == nullptr) {
		return CUDA_ERROR_ILLEGAL_STATE;
	}
	if (s->mode != CU_STREAM_CAPTURE_MODE_RELAXED && s->recorder != std::this_thread::get_id()) {
		return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	}
	if (s->spoiled) {
		delete s->recording;
		s->recording = nullptr;
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	}
	*g = s->recording;
	graphs.insert(*g);
	s->recording = nullptr;
	return CUDA_SUCCESS;
}
API(cuGraphInstantiateWithFlags)(CUgraphExec *e, CUgraph g, unsigned long long) {
	ENTER_WAITING(cuGraphInstantiateWithFlags);
	if (graphs.count(g) == 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	*e = new CUgraphExec_st{g->nodes, here()};
	execs.insert(*e);
	return CUDA_SUCCESS;
}
API(cuGraphLaunch)(CUgraphExec e, CUstream s) {
	ENTER_CONTEXT(cuGraphLaunch);
	if (execs.count(e) == 0 || e->ctx != here()) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	for (const Work &w : e->nodes) {
		if (CUresult err = emu::enqueue(s, w.uses, w.run)) {
			return err;
		}
	}
	return CUDA_SUCCESS;
}
/* A graph that runs is freed at its end. */
API(cuGraphExecDestroy)(CUgraphExec e) {
	ENTER_CONTEXT(cuGraphExecDestroy);
	if (execs.erase(e) == 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	delete e;
	return CUDA_SUCCESS;
}
API(cuGraphDestroy)(CUgraph g) {
	ENTER_CONTEXT(cuGraphDestroy);
	if (graphs.erase(g) == 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	delete g;
	return CUDA_SUCCESS;
}

API(cuEventCreate)(CUevent *e, unsigned) {
	ENTER_CONTEXT(cuEventCreate);
	*e = new CUevent_st;
	events.insert(*e);
	return CUDA_SUCCESS;
}
API(cuEventRecord)(CUevent e, CUstream s) {
	ENTER_CONTEXT(cuEventRecord);
	CUstream own = s;
	if (CUresult err = resolve(&own)) {
		return err;
	}
	if (events.count(e) == 0) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	if ((e->captured = own->recording != nullptr)) {
		return CUDA_SUCCESS;
	}
	std::shared_ptr<Moment> moment = e->last = std::make_shared<Moment>(Moment{own, false});
	return emu::enqueue(s, {}, [=] {
		moment->passed = true;
		return CUDA_SUCCESS;
	});
}
/* Events that were recorded into a graph say nothing about work. */
static CUresult happened(CUevent e) {
	return events.count(e) == 0 ? CUDA_ERROR_INVALID_HANDLE : e->captured ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}
API(cuEventQuery)(CUevent e) {
	ENTER_WAITING(cuEventQuery);
	CUresult err = happened(e);
	return err != CUDA_SUCCESS ? err : e->last != nullptr && !e->last->passed ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}
API(cuEventSynchronize)(CUevent e) {
	ENTER_WAITING(cuEventSynchronize);
	CUresult err = happened(e);
	return err != CUDA_SUCCESS ? err : e->last == nullptr || e->last->passed ? here()->lost : drain(e->last->stream);
}
API(cuEventDestroy_v2)(CUevent e) {
	ENTER_CONTEXT(cuEventDestroy);
	if (events.erase(e) == 0) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	return CUDA_SUCCESS;
}
