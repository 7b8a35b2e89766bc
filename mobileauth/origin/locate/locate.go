// SPDX-License-Identifier: Apache-2.0

package locate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
)

const (
	// faults in a row leave the service alone for the time of pause.
	faults = 5
	pause  = 30 * time.Second
)

// ErrOpen is returned while the service is left alone.
var ErrOpen = errors.New("the location service has failed too often in a row and is left alone for a while")

// Service asks a web service. It is an origin.Locator.
type Service struct {
	client  *callout.Client
	breaker *gobreaker.CircuitBreaker[origin.Place]
}

// New returns a service, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c callout.Config) (*Service, error) {
	client, err := callout.New(c)
	if err != nil {
		return nil, fmt.Errorf("location service: %w", err)
	}
	return &Service{client: client, breaker: gobreaker.NewCircuitBreaker[origin.Place](gobreaker.Settings{
		Name: "location", Timeout: pause, MaxRequests: 1,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= faults },
		IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) }, // whoever asked went away
	})}, nil
}

// Locate asks where an address is.
func (s *Service) Locate(ctx context.Context, address netip.Addr) (origin.Place, error) {
	place, err := s.breaker.Execute(func() (origin.Place, error) { return s.ask(ctx, address) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return origin.Place{}, ErrOpen
	}
	return place, err
}

func (s *Service) ask(ctx context.Context, address netip.Addr) (origin.Place, error) {
	answer, err := s.client.Post(ctx, struct {
		IP netip.Addr `json:"ip"`
	}{address})
	if status := new(callout.StatusError); errors.As(err, &status) && status.Status == http.StatusNotFound {
		return origin.Place{}, nil
	}
	if err != nil {
		return origin.Place{}, fmt.Errorf("location service: %w", err)
	}
	var place struct {
		CountryCode string `json:"country_code"`
		Region      string `json:"region"`
		City        string `json:"city"`
	}
	if err := json.Unmarshal(answer, &place); err != nil {
		return origin.Place{}, fmt.Errorf("location service: %w", callout.ErrAnswer)
	}
	return origin.Place(place), nil
}

// Close lets go of connections that wait for the next question.
func (s *Service) Close() { s.client.Close() }
