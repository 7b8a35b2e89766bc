// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Aside calls f on a goroutine of its own and returns when f has. The stack of a goroutine that has grown stays large while it
// lives, or shrinks to no less than four times of what is in use. Where very many requests wait, each of them below the many
// functions of its server, that is most of what they cost: so a handler that will wait, or has waited, does aside what needs a
// deep stack. A panic of f is the caller's, with the stack of where it began in its text.
func Aside(f func()) {
	t := &task{do: f, done: make(chan struct{})}
	go t.run()
	<-t.done
	switch {
	case t.fault != nil:
		panic(t.fault)
	case !t.returned:
		runtime.Goexit() // as f has, in a test that fails
	}
}

// task is what is done aside.
type task struct {
	do       func()
	fault    *fault
	returned bool
	done     chan struct{} // closed when it has ended, in whatever way
}

func (t *task) run() {
	defer close(t.done)
	defer func() {
		if value := recover(); value != nil {
			t.fault = &fault{value, debug.Stack()}
		}
	}()
	t.do()
	t.returned = true
}

// fault is a panic on its way to whom it belongs.
type fault struct {
	value any
	stack []byte
}

// Error says what happened, and where.
func (f *fault) Error() string { return fmt.Sprintf("%v\n\n%s", f.value, f.stack) }

// Unwrap returns the error that the panic was, where it was one.
func (f *fault) Unwrap() error {
	err, _ := f.value.(error)
	return err
}
