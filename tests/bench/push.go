// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
	fakeapns "github.com/gatehouse-id/gatehouse/tests/services/apns"
	fakefcm "github.com/gatehouse-id/gatehouse/tests/services/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// pushes is how many are sent in one measurement.
const pushes = 10_000

// carrier is a sender with the copy of its service, which lives in this process: what is measured is both.
type carrier struct {
	name        string
	sender      push.Sender
	address     string
	connections func() int
	close       func()
}

// measurePush sends pushes as fast as the service's copy takes them, by as many senders as there are places.
func measurePush(_ string, o options) error {
	for range o.rounds {
		for _, start := range []func() (*carrier, error){startApple, startGoogle} {
			c, err := start()
			if err != nil {
				return err
			}
			err = c.measure()
			c.close()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

func (c *carrier) measure() error {
	if err := c.send(0); err != nil { // the connection is there
		return err
	}
	var next atomic.Int64
	var peak atomic.Int64
	before := held()
	group, ctx := errgroup.WithContext(context.Background())
	began := time.Now()
	for range 64 {
		group.Go(func() error {
			for n := next.Add(1); n <= pushes && ctx.Err() == nil; n = next.Add(1) {
				if err := c.send(n); err != nil {
					return err
				}
				if n%500 == 0 {
					peak.Store(max(peak.Load(), held()))
				}
			}
			return nil
		})
	}
	err := group.Wait()
	took := time.Since(began)
	fmt.Printf("  %-6s %d pushes in %.2f s: %.0f/s over %d connection(s) · heap grew by %.1f MB at most · load of the machine %s\n",
		c.name, pushes, took.Seconds(), pushes/took.Seconds(), c.connections(), float64(max(0, peak.Load()-before))/1e6, machineLoad())
	return err
}

func (c *carrier) send(n int64) error {
	now := time.Now()
	return c.sender.Send(context.Background(), push.Message{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012x", n), Operation: fmt.Sprintf("op_%d", n), Address: c.address, App: "com.example.bank",
		Expires: now.Add(time.Minute), StoredAt: now.Add(-time.Hour),
	})
}

// held is what the heap holds, with what nobody needs any more.
func held() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}

func startApple() (*carrier, error) {
	authority, err := loopback.NewAuthority()
	if err != nil {
		return nil, err
	}
	signs, err := fakeapns.NewKey("TEAM000001", "KEY0000001")
	if err != nil {
		return nil, err
	}
	p8, err := signs.P8()
	if err != nil {
		return nil, err
	}
	key, err := apns.ParseKey(p8)
	if err != nil {
		return nil, err
	}
	service, err := fakeapns.Start(fakeapns.Config{
		Authority: authority, Now: time.Now, Keys: []*fakeapns.Key{signs}, Open: true, Keep: 1,
	})
	if err != nil {
		return nil, err
	}
	sender, err := apns.New(apns.Config{
		Key: key, TeamID: signs.TeamID, KeyID: signs.KeyID, BaseURL: service.URL, Roots: authority.Pool(), Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return &carrier{
		name: "apns", sender: sender, address: "feedfacefeedfacefeedfacefeedface", connections: func() int { return service.Stats().Connections },
		close: func() { sender.Close(); _ = service.Close() },
	}, nil
}

func startGoogle() (*carrier, error) {
	authority, err := loopback.NewAuthority()
	if err != nil {
		return nil, err
	}
	service, err := fakefcm.Start(fakefcm.Config{Authority: authority, Now: time.Now, Project: "gatehouse-tests", Open: true})
	if err != nil {
		return nil, err
	}
	file, err := service.Account()
	if err != nil {
		return nil, err
	}
	account, err := fcm.ParseServiceAccountFor(file, service.TokenHost())
	if err != nil {
		return nil, err
	}
	sender, err := fcm.New(fcm.Config{Account: account, BaseURL: service.URL, Roots: authority.Pool(), Now: time.Now})
	if err != nil {
		return nil, err
	}
	return &carrier{
		name: "fcm", sender: sender, address: "feedfacefeedface:APA91b", connections: service.Messages.Connections,
		close: func() { sender.Close(); _ = service.Close() },
	}, nil
}
