// SPDX-License-Identifier: Apache-2.0

// Command services runs everything that Gatehouse sends messages through, as copies on this computer: for whoever tries the
// documentation without an account at Apple, Google or a provider of text messages.
//
//	go run ./tests/services -dir /tmp/services
//
// It writes the credentials and the certificate authority into the folder, a part of a Caddyfile that uses them (mobile.caddyfile), and
// the addresses as variables for a shell (env); the last two it prints as well. What was sent to a phone lies in an inbox:
// GET {base}/inbox/{address} waits for the next and returns it. It runs until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

func main() {
	dir := flag.String("dir", "", "the folder that credentials are written to; required")
	only := flag.String("only", "", "start these services only, with commas between them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *only, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

// stage is what the services of one run share.
type stage struct {
	dir       string
	authority *loopback.Authority
	now       func() time.Time
}

// write writes a file that only its owner reads, and returns its path.
func (s *stage) write(name string, data []byte) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, data, 0o600)
}

func (s *stage) ca() string { return filepath.Join(s.dir, "ca.pem") }

// run starts the services and waits for ctx to end.
func run(ctx context.Context, dir, only string, out io.Writer) (err error) {
	if dir == "" {
		return errors.New("-dir names the folder for credentials")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	authority, err := loopback.NewAuthority()
	if err != nil {
		return err
	}
	s := &stage{dir: dir, authority: authority, now: time.Now}
	if _, err := s.write("ca.pem", authority.PEM()); err != nil {
		return err
	}
	running, err := s.start(only)
	defer func() {
		for _, r := range running {
			err = errors.Join(err, r.close())
		}
	}()
	if err != nil {
		return err
	}
	if err := s.tell(out, running); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// start starts the services, or those that are named.
func (s *stage) start(only string) ([]started, error) {
	var wanted []string
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(services, func(v service) bool { return v.name == name }) {
			return nil, fmt.Errorf("there is no service %q", name)
		}
	}
	var running []started
	for _, v := range services {
		if wanted != nil && !slices.Contains(wanted, v.name) {
			continue
		}
		r, err := v.start(s)
		if err != nil {
			return running, fmt.Errorf("starting %s: %w", v.name, err)
		}
		running = append(running, r)
	}
	return running, nil
}

// tell prints where everything is, and writes the part of the Caddyfile and the addresses beside the credentials.
func (s *stage) tell(out io.Writer, running []started) error {
	running = append([]started{{says: []said{{"Certificate authority", "SERVICES_CA", s.ca()}}}}, running...)
	var text, block, variables strings.Builder
	for _, r := range running {
		for _, v := range r.says {
			fmt.Fprintf(&text, "# %s: %s\n", v.what, v.address)
			if v.variable != "" {
				fmt.Fprintf(&variables, "%s='%s'\n", v.variable, v.address)
			}
		}
		if r.caddyfile != "" {
			block.WriteString(strings.TrimSpace(r.caddyfile) + "\n")
		}
	}
	env, err := s.write("env", []byte(variables.String()))
	if err != nil {
		return err
	}
	path, err := s.write("mobile.caddyfile", []byte(block.String()))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s# for a shell: . %s\n# in the block mobile: import %s\n\n%s", text.String(), env, path, block.String())
	return err
}
