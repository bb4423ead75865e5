// Package learner turns a profile's examples into its masks: Algorithm 1 of X-PEFT (arXiv 2401.16137) over a frozen encoder and a
// frozen bank, and the baselines that it is compared with. Digits, which most profiles are made of, are package learner/digits's.
//
//   - [Config]: what is trained and how; [Default] for a few dozen examples, [Paper] for the paper's own setting.
//   - [Job]: one profile's examples and where it starts.
//   - [Learn]: the training loop; [Result] is what it found. [LearnMany] is that of many profiles in joint steps.
//   - [Evaluate]: how well an adapter and a head do on examples.
//
// A mask is folded once a step, in weight space, and its gradient is an inner product with the bank: ∂L/∂M[l,i] = ⟨∂L/∂Â_l, A_i,l⟩. So a
// step costs about what a single adapter's does, whatever N is. The part of block 0 that no mask can change is computed once an example. A step's texts are dealt by their
// lengths to as many threads as the engine has, so that little is padding and no operator waits for another thread.
//
// # Concurrency
//
// Learn, LearnMany and Evaluate keep no state outside their arguments and may run at once on one engine. They run step by step: other closures of the
// engine get their turn between steps, and ctx ends a run within one.
//
// # Reproducibility
//
// Noise and order come from Config.Seed through PCG, drawn in Go. The same data, seed, machine type and thread count give the same bits.
package learner
