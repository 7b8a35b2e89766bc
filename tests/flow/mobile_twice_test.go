// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	handheld "github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// meeting is a pause that ends when two are in it, or nobody else comes.
type meeting struct {
	mu   sync.Mutex
	free chan struct{} // of the one who waits, guarded by mu; nil when nobody does
}

func (m *meeting) pause(ctx context.Context, _ time.Duration) error {
	m.mu.Lock()
	if m.free != nil {
		close(m.free)
		m.free = nil
		m.mu.Unlock()
		return ctx.Err()
	}
	free := make(chan struct{})
	m.free = free
	m.mu.Unlock()
	select {
	case <-free:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave frees who waits for somebody that does not come.
func (m *meeting) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.free != nil {
		close(m.free)
		m.free = nil
	}
}

// TestPhoneOfANameThatIsSentTwice at once: both answers, and what follows, look the same for a user with a phone, for one without and for
// nobody, down to whether both show one number; and the person has a page that works.
func TestPhoneOfANameThatIsSentTwice(t *testing.T) {
	const pages = 3 // by chance one of them shows the same number twice
	var mu sync.Mutex
	meetings := map[*world]*meeting{}
	at := func(w *world) *meeting {
		mu.Lock()
		defer mu.Unlock()
		if meetings[w] == nil {
			meetings[w] = new(meeting)
		}
		return meetings[w]
	}
	meets := func(w *world, model *realm.Config) {
		asks(byphone.Config{Type: "push_pin", Pause: at(w).pause})(w, model)
	}
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		w.bob(t)
		var want string
		for _, name := range []string{"alice", "bob", "mallory"} {
			var last *inBrowser
			differ := 0
			for range pages {
				f := &inBrowser{browser: w.browser(t)}
				f.seen(f.get(authorize("app")))
				var answers [2]page
				var both sync.WaitGroup
				for i := range answers {
					both.Go(func() {
						defer at(w).leave()
						answers[i] = f.submit(f.at, "username", name)
					})
				}
				both.Wait()
				for _, a := range answers {
					text := volatile.ReplaceAllString(a.body, "#")
					if want == "" {
						want = text
					}
					if a.status != http.StatusOK || len(a.number()) != 2 || text != want {
						t.Errorf("%s is answered %d\n%s\nand alice\n%s", name, a.status, text, want)
					}
				}
				if answers[0].number() != answers[1].number() {
					differ++
				}
				s := f.seen(f.again(answers[1]))
				if s.number != answers[0].number() && s.number != answers[1].number() || volatile.ReplaceAllString(f.at.body, "#") != want {
					t.Errorf("%s is shown later\n%s", name, s.text)
				}
				last = f
			}
			if differ == 0 {
				t.Errorf("%s: both answers show the same number each time", name)
			}
			if name != "alice" {
				continue
			}
			s := last.look()
			must(t, phone.Approve(t.Context(), fetch(t, phone, w.behind(t, s).ID),
				handheld.Approval{Number: s.number, Proof: handheld.Proof{PIN: phoneFactor}}))
			if end := last.look(); !end.done {
				t.Errorf("after the yes: %s", end.text)
			}
		}
	}, meets, identifies)
}
