// SPDX-License-Identifier: Apache-2.0

package advice_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/internal/signedpost/advice"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want outbox.Advice
	}{
		{"accepted", nil, outbox.Advice{}},
		{"not reached", errors.New("no route"), outbox.Advice{}},
		{"an answer without a wish", &signedpost.Answer{Status: 500}, outbox.Advice{}},
		{"a wish to be left alone", &signedpost.Answer{Status: 503, RetryAfter: time.Minute}, outbox.Advice{After: time.Minute}},
		{"gone, whatever it wishes", &signedpost.Answer{Status: 410, RetryAfter: time.Minute}, outbox.Advice{Permanent: true}},
		{"gone, told in other words", fmt.Errorf("posting: %w", &signedpost.Answer{Status: 410}), outbox.Advice{Permanent: true}},
	} {
		got := advice.Of(tt.err)
		if !errors.Is(got, tt.err) || (got == nil) != (tt.err == nil) {
			t.Errorf("%s: %v", tt.name, got)
		}
		if got != nil && outbox.AdviceOf(got) != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, outbox.AdviceOf(got), tt.want)
		}
	}
}
