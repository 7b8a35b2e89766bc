// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// payers are people who log in and have requests confirmed, and apps the clients they log in with: one may have ten requests a
	// second confirmed, and hold a thousand.
	payers, apps = 200, 10
	// heldEach is how many requests of a person are held at once, and heldCalls how many of all people.
	heldEach, heldCalls = 5, payers * heldEach
	// paidEach is how many requests of a person are approved at most: twenty are asked about, and one more in six seconds.
	paidEach = 9

	confirmRoute = `
	@pay path /pay
	protect @pay {
		scope read
		confirm push_pin {
			message "Pay {json.amount} EUR to {json.creditor}"
			bind body
		}
	}`
	confirmType = "mobile {\n open 8 5\n type push_pin {\n method push_pin\n time_to_live 10m\n message en \"Sign in\"\n }\n}\n"
)

// payer is a person with a phone who has logged in.
type payer struct {
	*pair
	gate, token string
}

// measureConfirm has requests held until a phone approves them.
func measureConfirm(path string, o options) error {
	extra := phonesCaddyfile("") + confirmType
	for i := range apps {
		extra += fmt.Sprintf("client %s {\n redirect_uri %s\n grants authorization_code\n scopes openid read\n first_party\n access_ttl 1h\n}\n",
			appName(i), callback)
	}
	return withRoutes(path, extra, confirmRoute, func(s *server) error {
		people, err := s.payers()
		if err != nil {
			return fmt.Errorf("registering people: %w", err)
		}
		if err := forwarded(o, people); err != nil {
			return err
		}
		return s.holding(o, people)
	})
}

func appName(i int) string { return fmt.Sprint("app", i%apps) }

func (s *server) payers() ([]*payer, error) {
	pairs, err := s.fleet(payers, "")
	if err != nil {
		return nil, err
	}
	if err := each(len(pairs), 4, func(i int) error {
		body := map[string]any{"password": password}
		return pairs[i].api(http.MethodPost, "users/"+pairs[i].user+"/password", body, new(operation))
	}); err != nil {
		return nil, err
	}
	<-time.After(time.Second) // a token is from before the password if it is of the same second
	people := make([]*payer, len(pairs))
	return people, each(len(pairs), 4, func(i int) error {
		people[i] = &payer{pair: pairs[i], gate: s.gate}
		tokens, err := s.login(appName(i), person(i), net.IPv4(127, 0, 0, byte(2+i/100)))
		people[i].token = tokens.Access
		return err
	})
}

// request returns a request to be confirmed. What comes ahead of its answer is sent to asked.
func (p *payer) request(ctx context.Context, amount int, asked chan<- operation) (*http.Request, error) {
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
		asked <- operation{ID: header.Get("Gatehouse-Operation"), Number: header.Get("Gatehouse-Number")}
		return nil
	}}
	body := fmt.Sprintf(`{"amount":%d,"creditor":"Bob"}`, amount)
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, "http://"+p.gate+"/pay", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", "wait=60")
	return r, nil
}

// pay sends a request, approves it, and returns how long after the approval was sent its answer came.
func (p *payer) pay(amount int) (time.Duration, error) {
	asked := make(chan operation, 1)
	r, err := p.request(context.Background(), amount, asked)
	if err != nil {
		return 0, err
	}
	var answered time.Time
	var failed error
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		failed = passes(p.http, r)
		answered = time.Now()
	}()
	select {
	case o := <-asked:
		sent, err := p.approve(o)
		<-waiting
		return answered.Sub(sent), errors.Join(err, failed)
	case <-waiting:
		return 0, errors.Join(errors.New("nobody was asked"), failed)
	}
}

// passes sends a request and reports that it did not come back from the upstream.
func passes(client *http.Client, r *http.Request) error {
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the gate answers %d: %s%s", response.StatusCode, body, response.Header.Get("WWW-Authenticate"))
	}
	return err
}

// forwarded starts requests at a steady rate, and measures from the sending of the approval to the answer of the upstream.
func forwarded(o options, people []*payer) error {
	const rate = 100
	n := min(int(o.length.Seconds()*rate)*o.rounds, paidEach*len(people))
	found := make([]time.Duration, n)
	var group errgroup.Group
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for i := range n {
		<-ticker.C
		group.Go(func() (err error) {
			found[i], err = people[i%len(people)].pay(i + 1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(found)
	fmt.Printf("  approve → answer of the held request, %d a second, %d requests: p50 %.1f ms, p99 %.1f ms, most %.1f ms · load of the machine %s\n",
		rate, n, ms(found[n/2]), ms(found[n*99/100]), ms(found[n-1]), machineLoad())
	return nil
}

// holding looks at the memory of the server while requests are held.
func (s *server) holding(o options, people []*payer) error {
	before, _, err := s.live()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := make(chan operation, heldCalls)
	var group sync.WaitGroup
	var answered atomic.Int64
	for i := range heldCalls {
		group.Go(func() {
			defer answered.Add(1)
			p := people[i%len(people)]
			if r, err := p.request(ctx, 1_000_000+i, asked); err == nil {
				_ = passes(p.http, r) // it is given up below
			}
		})
	}
	deadline := time.After(heldFor)
	for n := 0; n < heldCalls && answered.Load() == 0; {
		select {
		case <-asked:
			n++
		case <-deadline:
			return fmt.Errorf("%d of %d requests are held", n, heldCalls)
		}
	}
	burst, err := s.memory()
	if err != nil {
		return err
	}
	after, heap, err := s.live()
	if err != nil {
		return err
	}
	_, stacks, err := s.goroutines("mobileauth/confirm/hold.(")
	if err != nil {
		return err
	}
	early := answered.Load()
	cancel()
	group.Wait()
	mega := func(bytes int64) float64 { return float64(bytes) / 1e6 }
	heapMore, stacksMore := after.heap-before.heap, after.stacks-before.stacks
	fmt.Printf("  %d requests are held, %d were answered too early · load of the machine %s\n", heldCalls, early, machineLoad())
	fmt.Printf("  for all of them: resident %.1f MB with the garbage of their beginnings, %.1f MB after collections · live %.1f MB: heap %.1f, stacks %.1f\n",
		mega(burst.resident-before.resident), mega(after.resident-before.resident), mega(heapMore+stacksMore), mega(heapMore), mega(stacksMore))
	return o.keep(map[string][]byte{"confirm-heap.pprof": heap, "confirm-goroutines.txt": stacks})
}
