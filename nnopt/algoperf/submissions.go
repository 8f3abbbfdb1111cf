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

// shorter is a course whose schedule ends after a share of the step hint.
func shorter(c Course, share float64) Course {
	c.Horizon = share
	return c
}

// scheduleFree is that of one without a schedule.
func scheduleFree(optimizer, options string) Course {
	return Course{Optimizer: optimizer, Options: json.RawMessage(options), Shape: nnopt.Constant, Restart: true}
}

// Runs of a few hundred steps want short memories, of gradients as of second moments; the options below come from scans (bench/scan). The preconditioners
// update often, and have no factor for the pixels of large images and for tokens.
const (
	spectralOptions = `{"interval":2,"beta2":0.1,"momentum":0.8,"shaping":{"max_dim":1024,"exclude":512}}`
	averagedOptions = `{"interval":2,"beta2":0.1,"no_momentum":true,"shaping":{"max_dim":1024,"exclude":512}}`
	shampooOptions  = `{"interval":3,"beta1":0.8,"beta2":0.9,"shaping":{"exclude":512}}`
)

// kfacOptions bounds the steps instead of asking the quadratic model for them, whose products cost more here than they save.
const (
	adamOptions         = `{"beta1":0.8,"beta2":0.95}`
	scheduleFreeOptions = `{"beta2":0.95}`
	rootFreeOptions     = `{"beta1":0.8,"beta2":0.99}`
	muonOptions         = `{"momentum":0.9,"beta2":0.95}`
	singdOptions        = `{"interval":5,"beta1":0.05}`
	kfacOptions         = `{"fixed":true,"momentum":0.8,"empirical":true,"damping":0.001,"fixed_damping":true,"norm_constraint":0.0003,"interval":3}`
)

// tuners are the submissions of the published target-setting procedure, with nnopt's defaults.
func tuners() []Entry {
	return []Entry{
		Of("adamw", "", plain("adamw", ""), aroundLR(0.012), nil), Of("nadamw", "", plain("nadamw", ""), aroundLR(0.012), nil),
		Of("nesterov", "", plain("sgd", `{"nesterov":true}`), aroundLR(0.3), nil), Of("heavy-ball", "", plain("sgd", ""), aroundLR(0.3), nil),
	}
}

// Entries lists the submissions, every optimizer of nnopt among them.
func Entries() []Entry {
	return []Entry{
		Of("adamw", "AdamW", plain("adamw", adamOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("nadamw", "AdamW with a Nesterov numerator, the baseline", plain("nadamw", adamOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("nesterov", "descent with Nesterov momentum", plain("sgd", `{"nesterov":true}`), aroundLR(0.3), selfTuned(0.3)),
		Of("heavy-ball", "descent with heavy-ball momentum", plain("sgd", ""), aroundLR(0.3), selfTuned(0.3)),
		Of("sgd", "descent without momentum", plain("sgd", `{"no_momentum":true}`), aroundLR(1.5), selfTuned(1.5)),
		Of("spectral", "spectral-factorised preconditioner", shorter(plain("spectral", spectralOptions), 0.8), aroundLR(0.02), selfTuned(0.02)),
		Of("spectral-schedule-free", "the same with averaged iterates instead of momentum and a schedule",
			scheduleFree("averaged", `{"kind":"schedule-free","inner":"spectral","options":`+averagedOptions+`}`), aroundLR(0.05), selfTuned(0.05)),
		Of("schedule-free-adamw", "AdamW with averaged iterates instead of a schedule", scheduleFree("schedule-free-adamw", scheduleFreeOptions), aroundLR(0.03), selfTuned(0.03)),
		Of("schedule-free-sgd", "descent with averaged iterates instead of a schedule", scheduleFree("schedule-free-sgd", ""), aroundLR(5), selfTuned(5)),
		Of("eshampoo", "Shampoo with second moments corrected in its eigenbases", plain("eshampoo", shampooOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("soap", "eshampoo with orthogonal iterations", plain("soap", shampooOptions), aroundLR(0.012), selfTuned(0.012)),
		Of("shampoo", "Shampoo with grafting", plain("shampoo", shampooOptions), aroundLR(0.01), selfTuned(0.01)),
		Of("sirf-shampoo", "inverse-free root-free Shampoo", plain("sirf-shampoo", ""), aroundLR(0.05), selfTuned(0.05)),
		Of("singd", "structured inverse-free natural gradient", plain("singd", singdOptions), aroundLR(0.05), selfTuned(0.05)),
		Of("ikfac", "inverse-free KFAC", plain("ikfac", singdOptions), aroundLR(0.05), selfTuned(0.05)),
		Of("kfac", "natural gradient with Kronecker factors and steps of bounded length", plain("kfac", kfacOptions), aroundLR(0.3), selfTuned(0.3)),
		Of("muon", "orthogonalised momentum for matrices, AdamW for vectors", plain("muon", muonOptions), aroundLR(0.02), selfTuned(0.02)),
		Of("lion", "sign of an interpolated average of the gradient", plain("lion", ""), aroundLR(0.002), selfTuned(0.002)),
		Of("sign", "sign of the averaged gradient", plain("sign", ""), aroundLR(0.002), selfTuned(0.002)),
		Of("root-free-adamw", "AdamW without the root", plain("root-free-adamw", rootFreeOptions), aroundLR(1), selfTuned(1)),
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
