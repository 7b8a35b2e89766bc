// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Patience is how long a program may take to answer for the first time.
const Patience = 60 * time.Second

// Build builds cmd/gatehouse into a folder and returns the program.
func Build(dir string) (string, error) { return BuildFrom("", dir) }

// BuildFrom is [Build] from the source in another folder; "" is this one.
func BuildFrom(source, dir string) (string, error) {
	path := filepath.Join(dir, "gatehouse")
	cmd := exec.Command("go", "build", "-o", path, "github.com/gatehouse-id/gatehouse/cmd/gatehouse")
	cmd.Dir = source
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
}

// Config says what to run.
type Config struct {
	// Path is the program, and Dir the folder that becomes its working directory and holds everything it keeps.
	Path, Dir string
	// Ports is how many addresses the configuration needs.
	Ports int
	// Caddyfile returns the configuration for these addresses, each 127.0.0.1 or localhost with a port.
	Caddyfile func(addresses []string) string
	// Ready is a path at the first address that answers 200 when the program is ready.
	Ready string
	// Host is what addresses begin with. Default: 127.0.0.1.
	Host string
	// Env are more variables of its environment.
	Env []string
}

// Program is a running program.
type Program struct {
	Config
	// Addresses are host and port of what the configuration serves.
	Addresses []string
	// Took is how long it was until it answered.
	Took time.Duration

	cmd   *exec.Cmd
	ended chan struct{} // closed after the process has ended
	log   log
}

// log keeps what a program says, which may be read while it runs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write adds to the log.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// attempts is how often ports are looked for: between finding a free one and using it somebody else may take it.
const attempts = 5

// Start starts a program and waits until it is ready. The caller stops it.
func Start(ctx context.Context, c Config) (*Program, error) {
	p := &Program{Config: c}
	if p.Host == "" {
		p.Host = "127.0.0.1"
	}
	for attempt := 1; ; attempt++ {
		var err error
		if p.Addresses, err = p.free(c.Ports); err != nil {
			return nil, err
		}
		err = p.run(ctx)
		if err == nil || attempt == attempts || !strings.Contains(p.Log(), "address already in use") {
			return p, err
		}
	}
}

// Restart starts the program anew on the same addresses, after it has ended.
func (p *Program) Restart(ctx context.Context) error { return p.run(ctx) }

func (p *Program) run(ctx context.Context) error {
	if err := p.Write(p.Caddyfile(p.Addresses)); err != nil {
		return err
	}
	p.log.reset()
	p.cmd = exec.Command(p.Path, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	p.cmd.Dir = p.Dir
	p.cmd.Env = append(os.Environ(), append(p.Env, "XDG_DATA_HOME="+p.Dir, "XDG_CONFIG_HOME="+p.Dir)...)
	p.cmd.Stderr = &p.log
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its state
	}(p.cmd, p.ended)
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	if err := p.wait(ctx); err != nil {
		return errors.Join(err, p.Stop(), fmt.Errorf("it said:\n%s", p.Log()))
	}
	p.Took = time.Since(began)
	return nil
}

func (p *Program) wait(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addresses[0]+p.Ready, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close() // it is not read
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the program: %w", ctx.Err())
		case <-p.ended:
			return fmt.Errorf("waiting for the program: %v", p.cmd.ProcessState)
		case <-ticker.C:
		}
	}
}

// Write writes the configuration, for the next start or reload.
func (p *Program) Write(caddyfile string) error {
	return os.WriteFile(filepath.Join(p.Dir, "Caddyfile"), []byte(caddyfile), 0o600)
}

// Socket is the address of its admin API, if the configuration says "admin" and this.
func (p *Program) Socket() string { return SocketIn(p.Dir) }

// SocketIn is the address of the admin API of a program in a folder.
func SocketIn(dir string) string { return "unix/" + filepath.Join(dir, "admin.sock") }

// Pid is the process's id.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Log returns what the program has said since it was started last.
func (p *Program) Log() string { return p.log.String() }

// Command returns a command of the program, run beside it in its folder.
func (p *Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Dir, cmd.Env = p.Dir, p.cmd.Env
	return cmd
}

// Stop asks the program to end and waits for it.
func (p *Program) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the program at once, as a crash does.
func (p *Program) Kill() error { return p.end(syscall.SIGKILL) }

func (p *Program) end(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// Ended is closed when the program has ended.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// free returns addresses that nobody listens on. All are taken at once, so that none comes twice.
func (p *Program) free(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // it was only to find the port
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, net.JoinHostPort(p.Host, port))
	}
	return addresses, nil
}
