package algoperf

import (
	"encoding/json"

	"github.com/spdopt/spdopt/nnopt"
)

// aroundLR is the search space of an optimizer whose learning rate is expected within a factor of five around center: the learning rate, weight decay
// and the length of the warm-up.
func aroundLR(center float64) Space {
	return Space{Dims: []Dim{
		{Name: "lr", Low: center / 5, High: center * 5, Log: true},
		{Name: "decay", Low: 1e-4, High: 1e-1, Log: true},
		{Name: "warmup", Choices: []float64{0.02, 0.05, 0.1}},
	}}
}

// selfTuned are the hyperparameters of a submission in the self-tuning ruleset.
func selfTuned(lr float64) Point { return Point{"lr": lr, "decay": 1e-2, "warmup": 0.05} }

// plain is the course of an optimizer of nnopt with options, a warm-up, and a cosine to zero.
func plain(optimizer, options string) Course {
	return Course{Optimizer: optimizer, Options: json.RawMessage(options)}
}

// scheduleFree is that of one without a schedule.
func scheduleFree(optimizer, options string) Course {
	return Course{Optimizer: optimizer, Options: json.RawMessage(options), Shape: nnopt.Constant, Restart: true}
}

// The options of the preconditioners: frequent updates with a short memory, which pay in runs of a few hundred steps, and no factor for the pixels of
// large images and for tokens.
const (
	spectralOptions = `{"interval":2,"beta2":0.1,"shaping":{"exclude":512}}`
	averagedOptions = `{"interval":2,"beta2":0.1,"no_momentum":true,"shaping":{"exclude":512}}`
	shampooOptions  = `{"interval":3,"beta2":0.9,"shaping":{"exclude":512}}`
)

// singdOptions lets the factors of SINGD move faster than its defaults, for the same reason.
const singdOptions = `{"interval":5,"beta1":0.05}`

// Entries lists the submissions: the four of the target-setting procedure first, then the other optimizers of nnopt.
func Entries() []Entry {
	return []Entry{
		Of("adamw", "AdamW", plain("adamw", ""), aroundLR(0.012), selfTuned(0.012)),
		Of("nadamw", "AdamW with a Nesterov numerator, the baseline", plain("nadamw", ""), aroundLR(0.012), selfTuned(0.012)),
		Of("nesterov", "descent with Nesterov momentum", plain("sgd", `{"nesterov":true}`), aroundLR(0.3), selfTuned(0.3)),
		Of("heavy-ball", "descent with heavy-ball momentum", plain("sgd", ""), aroundLR(0.3), selfTuned(0.3)),
		Of("sgd", "descent without momentum", plain("sgd", `{"no_momentum":true}`), aroundLR(1.5), selfTuned(1.5)),
		Of("spectral", "spectral-factorised preconditioner", plain("spectral", spectralOptions), aroundLR(0.02), selfTuned(0.02)),
		Of("spectral-schedule-free", "the same with averaged iterates instead of momentum and a schedule",
			scheduleFree("averaged", `{"kind":"schedule-free","inner":"spectral","options":`+averagedOptions+`}`), aroundLR(0.05), selfTuned(0.05)),
		Of("schedule-free-adamw", "AdamW with averaged iterates instead of a schedule", scheduleFree("schedule-free-adamw", ""), aroundLR(0.03), selfTuned(0.03)),
		Of("schedule-free-sgd", "descent with averaged iterates instead of a schedule", scheduleFree("schedule-free-sgd", ""), aroundLR(5), selfTuned(5)),
		Of("eshampoo", "Shampoo with second moments corrected in its eigenbases", plain("eshampoo", shampooOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("soap", "eshampoo with orthogonal iterations", plain("soap", shampooOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("shampoo", "Shampoo with grafting", plain("shampoo", shampooOptions), aroundLR(0.01), selfTuned(0.01)),
		Of("sirf-shampoo", "inverse-free root-free Shampoo", plain("sirf-shampoo", ""), aroundLR(0.05), selfTuned(0.05)),
		Of("singd", "structured inverse-free natural gradient", plain("singd", singdOptions), aroundLR(0.05), selfTuned(0.05)),
		Of("ikfac", "inverse-free KFAC", plain("ikfac", singdOptions), aroundLR(0.05), selfTuned(0.05)),
		Of("kfac", "natural gradient with Kronecker factors and a quadratic model", plain("kfac", ""), aroundLR(0.03), selfTuned(0.03)),
		Of("muon", "orthogonalised momentum for matrices, AdamW for vectors", plain("muon", ""), aroundLR(0.02), selfTuned(0.02)),
		Of("lion", "sign of an interpolated average of the gradient", plain("lion", ""), aroundLR(0.002), selfTuned(0.002)),
		Of("sign", "sign of the averaged gradient", plain("sign", ""), aroundLR(0.002), selfTuned(0.002)),
		Of("root-free-adamw", "AdamW without the root", plain("root-free-adamw", ""), aroundLR(1), selfTuned(1)),
		Of("root-free-rmsprop", "RMSProp without the root", plain("root-free-rmsprop", ""), aroundLR(0.1), selfTuned(0.1)),
		Of("adagrad", "AdaGrad", plain("adagrad", ""), aroundLR(0.02), selfTuned(0.02)),
		Of("averaged", "moving average of the iterates of descent", plain("averaged", `{"options":{"nesterov":true}}`), aroundLR(0.3), selfTuned(0.3)),
	}
}

// EntryByName returns the submission called name, or an *UnknownError.
func EntryByName(name string) (Entry, error) {
	for _, e := range Entries() {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry{}, &UnknownError{"submission", name}
}
