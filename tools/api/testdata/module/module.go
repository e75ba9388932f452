package module

import (
	"context"
	"time"

	"example.test/module/sub"
)

const Limit time.Duration = 3

const hidden = 1

var Err error

type Plain struct{ A, b int }

type Info struct {
	sub.Base
	Names []string `json:"names"`
}

func (Info) Value() int          { return hidden }
func (*Info) Pointer(n int) bool { return n > 0 }
func (Info) unexported()         {}

type Option interface{ apply(*Info) }

type Hook interface {
	Run(context.Context) sub.Base
}

type Number int

type Same = sub.Base

type Set[T any] map[string]T

func (s Set[T]) Get(name string) T { return s[name] }

func New(ctx context.Context, o ...Option) (*Info, error) { return nil, Err }
