package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/model"
)

// checkedModel is what a model's folder has, and how fast it is here.
type checkedModel struct {
	Folder     string `json:"folder"`
	Type       string `json:"model_type"`
	Digest     string `json:"digest"`
	Blocks     int    `json:"blocks"`
	Hidden     int    `json:"hidden"`
	Pooling    string `json:"pooling"`
	Vocabulary int    `json:"vocabulary"`
	FoldsCase  bool   `json:"folds_case"`
	Pairs      bool   `json:"pairs"`
	Positions  int    `json:"positions"`
	MaxTokens  int    `json:"max_tokens"`
	Axes       string `json:"axes"`

	Kernel string  `json:"kernel"`
	Ms     float64 `json:"ms"`
	Rate   float64 `json:"texts_per_second"`
}

func (a *app) modelCommand() *cobra.Command {
	return parent("model", "Look at a model's folder", a.modelCheckCommand())
}

func (a *app) modelCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Say what a model's folder has, whether it runs, and how fast",
		Long: "Read a folder in Hugging Face's layout as init does, and time its passes on one core, in float32.\n" +
			"What is not supported is an error that names the file and the field. No folder of profiles is needed.",
		Example: "  xpeft model check /models/all-MiniLM-L6-v2",
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(ctx context.Context, args []string) error {
			c, err := checkModel(ctx, args[0])
			if err != nil {
				return err
			}
			return a.say(c)
		}),
	}
}

func checkModel(ctx context.Context, dir string) (c checkedModel, err error) {
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		return c, err
	}
	ckpt, err := model.OpenCheckpoint(dir)
	if err != nil {
		return c, err
	}
	if err := ckpt.CheckTokenizer(tok); err != nil {
		return c, errors.Join(err, ckpt.Close())
	}
	enc, err := model.NewEncoder(ckpt)
	if err != nil {
		return c, errors.Join(err, ckpt.Close())
	}
	defer func() { err = errors.Join(err, enc.Close()) }()
	config, digest := enc.Config(), ckpt.Digest()
	c = checkedModel{Folder: dir, Type: config.ModelType, Digest: hex.EncodeToString(digest[:]), Blocks: enc.Blocks(),
		Hidden: enc.Hidden(), Pooling: enc.Pooling().String(), Vocabulary: tok.VocabSize(), FoldsCase: tok.FoldsCase(),
		Pairs: config.Pairs(), Positions: config.MaxPositionEmbeddings, MaxTokens: tok.DefaultMaxTokens(config),
		Axes: "init computes them", Kernel: enc.Kernel()}
	if axes.Shipped(digest) != nil {
		c.Axes = "come with the program"
	}
	c.Ms, c.Rate, err = timeModel(ctx, enc, tok)
	return c, err
}

// timedTokens is the length of the texts that are timed, with the special tokens.
const timedTokens = 32

// timeModel is the median time of one text's pass, in ms, and the rate of 64 in one pass.
func timeModel(ctx context.Context, enc *model.Encoder, tok *model.Tokenizer) (ms, rate float64, err error) {
	words := tok.Words()
	texts := make([]model.Encoding, 64)
	for i := range texts {
		some := words[min(i*timedTokens, len(words)):min((i+1)*timedTokens, len(words))]
		tok.Encode(&texts[i], strings.Join(some, " "), "", timedTokens)
	}
	x := make([]float32, len(texts)*enc.Hidden())
	median := func(n, times int) (float64, error) {
		took := make([]float64, times)
		for i := range took {
			began := time.Now()
			if err := errors.Join(ctx.Err(), enc.Embed(texts[:n], nil, nil, x[:n*enc.Hidden()], nil, nil)); err != nil {
				return 0, err
			}
			took[i] = time.Since(began).Seconds()
		}
		slices.Sort(took)
		return took[times/2], nil
	}
	one, err := median(1, 15)
	if err != nil {
		return 0, 0, err
	}
	all, err := median(len(texts), 5)
	return 1000 * one, float64(len(texts)) / all, err
}

func (c checkedModel) text(w io.Writer) {
	kind := c.Type
	if kind == "" {
		kind = "bert"
	}
	fields(w, "model", c.Folder, "encoder", fmt.Sprintf("%s: %s of %d blocks and %d values, pooled by %s",
		c.Digest[:12], kind, c.Blocks, c.Hidden, c.Pooling),
		"tokenizer", fmt.Sprintf("%d tokens, folds case: %t", c.Vocabulary, c.FoldsCase),
		"texts", fmt.Sprintf("of %d tokens by default, of %d at most; pairs: %t", c.MaxTokens, c.Positions, c.Pairs),
		"axes", c.Axes,
		"speed", fmt.Sprintf("%.1f ms a text of %d tokens, %.0f texts a second together, on one core by %s", c.Ms,
			timedTokens, c.Rate, c.Kernel))
}
