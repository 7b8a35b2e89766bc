// SPDX-License-Identifier: Apache-2.0

package mobiletest_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	one, two := mobiletest.Keys(t).Public(), mobiletest.Keys(t).Public()
	ids := map[string]bool{one.Sign.ID(): true, one.Enc.ID(): true, two.Sign.ID(): true, two.Enc.ID(): true}
	if len(ids) != 4 || ids[""] {
		t.Errorf("two phones have the keys %v", ids)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	var u mobiletest.Users
	down := errors.New("the store is down")
	u.Lock("locked")
	u.Say("unknown", down)
	u.Lock("back")
	u.Say("back", nil)
	for id, want := range map[string]error{"locked": mobileauth.ErrInactive, "unknown": down, "back": nil, "": nil} {
		if err := u.Active(nil, id); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", id, err, want)
		}
	}
}

// Nobody is through before all have begun, and each error is that of its function.
func TestTogether(t *testing.T) {
	t.Parallel()
	const n = 20
	var begun sync.WaitGroup
	begun.Add(n)
	errs := mobiletest.Together(n, func(i int) error {
		begun.Done()
		begun.Wait()
		return fmt.Errorf("number %d", i)
	})
	for i, err := range errs {
		if want := fmt.Sprintf("number %d", i); err == nil || err.Error() != want {
			t.Errorf("%d: %v", i, err)
		}
	}
	if len(errs) != n {
		t.Errorf("%d errors", len(errs))
	}
}
