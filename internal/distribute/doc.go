// Package distribute spreads evaluations over processes and machines by NATS JetStream, which is the queue; nothing of it is rebuilt here.
//
// # Streams
//
// A run has two streams with file storage, both work queues with explicit acknowledgements:
//
//	spdopt-RUN-tasks    spdopt.RUN.task.ID     an evaluation that is open; one message for each identifier, more are refused by the stream
//	spdopt-RUN-results  spdopt.RUN.result.ID   what a worker found, until the coordinator has kept it
//
// The metadata of the first holds the Spec: what workers must know of the objective. The end of a run is announced on spdopt.RUN.over.
//
// # Who does what when
//
// The coordinator publishes an evaluation with its identifier as message identifier. A worker takes as many as it can evaluate, says that it is still at it
// every third of the acknowledgement wait, publishes the result, and acknowledges the task only once the stream has the result. The coordinator hands every
// result to Options.Keep, which writes it to the journal of the run, and only then deletes the task, in case the worker died before it could acknowledge it,
// and acknowledges the result when the task is gone for sure. So at any instant an evaluation is in the tasks, in the results or in the journal, and the journal decides: results of
// evaluations that are not open are duplicates, or made up, and are dropped.
//
// A worker that dies is silent, and the task is delivered again after the acknowledgement wait. Whoever gets a task for the second time, or
// after it has waited long behind another, looks first whether it is done, and gives an evaluation up as failed that was delivered more often than Spec.MaxDeliver allows: one that kills its workers. A coordinator
// that starts again takes in the results that came meanwhile before it publishes the evaluations that are still open, again under their identifiers. When a server
// comes back without its streams, they are made anew and what is open is published again.
//
// # Trust
//
// Workers are not trusted: a result has bounded size, is parsed strictly, must be of this run, of this version of the objective and of an open evaluation, and no number
// in it leads to anything but a wrong value. The embedded server lets workers take tasks and publish results, and nothing else.
package distribute
