// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// elsewhere is an authenticator whose challenges are answered elsewhere.
type elsewhere struct {
	realm.Authenticator
	heard  []realm.Input
	err    error
	panics bool
}

func (e *elsewhere) said(in realm.Input) error {
	if e.panics {
		panic("a secret")
	}
	e.heard = append(e.heard, in)
	return e.err
}

func (e *elsewhere) Watch(_ context.Context, in realm.Input, since string, _ time.Duration) (bool, error) {
	return since != "1", e.said(in)
}

func (e *elsewhere) Withdraw(_ context.Context, in realm.Input) error { return e.said(in) }

type noModule struct{ realm.LoginModule }

// TestElsewhere: the engine passes on what it knows, and nothing that breaks gets through.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	phone := new(elsewhere)
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "phone", Authenticator: phone, LoginModule: noModule{}, MaxAge: time.Hour},
			{Name: "password", Authenticator: struct{ realm.Authenticator }{}, LoginModule: noModule{}, MaxAge: time.Hour},
		},
		Identity: []string{"phone"},
	})
	if err != nil {
		t.Fatal(err)
	}
	watch := func(name, since string) (bool, error) {
		return engine.Watch(t.Context(), name, realm.Input{Subject: "usr_1"}, since, time.Second)
	}
	if changed, err := watch("phone", "1"); err != nil || changed {
		t.Errorf("without news: %v, %v", changed, err)
	}
	if changed, err := watch("phone", "2"); err != nil || !changed {
		t.Errorf("with news: %v, %v", changed, err)
	}
	if changed, err := watch("password", ""); err != nil || !changed {
		t.Errorf("of a realm that is not answered elsewhere: %v, %v", changed, err)
	}
	if _, err := watch("nothing", ""); err == nil {
		t.Error("a realm that is not defined is watched")
	}
	if err := engine.Withdraw(t.Context(), "phone", realm.Input{}); err != nil {
		t.Error(err)
	}
	if err := engine.Withdraw(t.Context(), "password", realm.Input{}); err != nil {
		t.Errorf("a realm that began nothing: %v", err)
	}
	if err := engine.Withdraw(t.Context(), "nothing", realm.Input{}); err == nil {
		t.Error("a realm that is not defined takes something back")
	}
	if first := phone.heard[0]; first.Realm != "phone" || !first.Identifies || first.Subject != "usr_1" {
		t.Errorf("the authenticator hears %+v", first)
	}
	for _, broken := range []elsewhere{{err: errors.New("broken")}, {panics: true}} {
		*phone = broken
		if _, err := watch("phone", "1"); !errors.Is(err, realm.ErrUnjudged) {
			t.Errorf("watching what is broken: %v", err)
		}
		if err := engine.Withdraw(t.Context(), "phone", realm.Input{}); !errors.Is(err, realm.ErrUnjudged) {
			t.Errorf("taking back what is broken: %v", err)
		}
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	for stage, open := range map[realm.Stage]bool{
		realm.StageAsked: true, realm.StageScan: true, realm.StageCode: true, realm.StageName: false, realm.StageDenied: false,
		realm.StageNotMe: false, realm.StageExpired: false, realm.StageFailed: false, realm.StageCancelled: false,
		realm.StageImpossible: false, realm.StageOther: false,
	} {
		if stage.Open() != open {
			t.Errorf("%s: open is %v", stage, stage.Open())
		}
	}
}
