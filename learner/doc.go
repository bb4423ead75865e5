// Package learner turns a profile's examples into its masks: Algorithm 1 of X-PEFT (arXiv
// 2401.16137) over a frozen encoder and a frozen bank, and the baselines that it is compared with.
// Digits, which most profiles are made of, are learned by internal/digits.
//
//   - [Config]: what is trained and how; [Default] for a few dozen examples, [Paper] for the
//     paper's own setting.
//   - [Job]: one profile's examples and where it starts.
//   - [Learn]: the training loop; [Result] is what it found. [LearnMany] is that of many profiles
//     in joint steps.
//   - [Evaluate]: how well an adapter and a head do on examples.
//
// A mask is folded once a step, in weight space, and its gradient is an inner product with the
// bank: ∂L/∂M[l,i] = ⟨∂L/∂Â_l, A_i,l⟩. So a step costs about what a single adapter's does, whatever
// N is. What no mask can change, the states below the first adapter, is computed once an example.
// All of this is plain Go over slices: of an engine (Env.Engine) it needs states of texts and the
// gradient of folded adapters. The native engine trains adapters in the encoder's last block; more
// blocks than the engine trains are engine.ErrUntrainable before any work.
//
// # Concurrency
//
// Learn, LearnMany and Evaluate keep no state outside their arguments and may run at once on one
// engine. ctx ends a run within a step.
//
// # Reproducibility
//
// Noise and order come from Config.Seed through PCG, and sums have a fixed order: the same data,
// seed and type of machine give the same bits, on any number of threads.
package learner
