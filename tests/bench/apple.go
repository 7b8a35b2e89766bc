// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	fakeapns "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// hold has the service ask to be left alone, once.
const hold = "hold"

// apple is a copy of Apple's service in a process of its own, which is this program again.
type apple struct {
	// Caddyfile is the block that names the service "apple".
	Caddyfile string `json:"caddyfile"`

	process *exec.Cmd
	asks    io.WriteCloser
	answers *json.Decoder
}

// startProcess starts the process, with the files of the service in a folder.
func startProcess(dir string) (*apple, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &apple{process: exec.Command(program, "-apple", dir)}
	a.process.Stderr = os.Stderr
	if a.asks, err = a.process.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := a.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.answers = json.NewDecoder(answers)
	if err := a.process.Start(); err != nil {
		return nil, err
	}
	if err := a.answers.Decode(a); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// stats has the service do something, if that is not empty, and returns its counts.
func (a *apple) stats(do string) (s fakeapns.Stats, err error) {
	if _, err := fmt.Fprintln(a.asks, do); err != nil {
		return s, err
	}
	return s, a.answers.Decode(&s)
}

// close ends the process: it reads until there is nobody who could ask.
func (a *apple) close() error {
	return errors.Join(a.asks.Close(), a.process.Wait())
}

// serveApple is the process.
func serveApple(dir string) error {
	authority, err := loopback.NewAuthority()
	if err != nil {
		return err
	}
	key, err := fakeapns.NewKey("TEAM000001", "KEY0000001")
	if err != nil {
		return err
	}
	p8, err := key.P8()
	if err != nil {
		return err
	}
	keyFile, caFile := filepath.Join(dir, "key.p8"), filepath.Join(dir, "ca.pem")
	if err := errors.Join(os.WriteFile(keyFile, p8, 0o600), os.WriteFile(caFile, authority.PEM(), 0o600)); err != nil {
		return err
	}
	service, err := fakeapns.Start(fakeapns.Config{Authority: authority, Now: time.Now, Keys: []*fakeapns.Key{key}, Open: true, Keep: 1})
	if err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	err = answers.Encode(&apple{Caddyfile: fmt.Sprintf("mobile {\n push apple {\n apns {\n team_id %s\n key_id %s\n key_file %q\n endpoint %s\n"+
		" ca_file %q\n }\n }\n}\n", key.TeamID, key.KeyID, keyFile, service.URL, caFile)})
	if err != nil {
		return errors.Join(err, service.Close())
	}
	for asks := bufio.NewScanner(os.Stdin); asks.Scan(); {
		if asks.Text() == hold {
			service.Script.Add(fakeapns.Step{
				Status: 503, Reason: "ServiceUnavailable", Header: map[string]string{"Retry-After": fmt.Sprint(heldFor.Seconds())},
			})
		}
		if err := answers.Encode(service.Stats()); err != nil {
			return errors.Join(err, service.Close())
		}
	}
	return service.Close()
}
