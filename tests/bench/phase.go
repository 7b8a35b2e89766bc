// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commits are batches that the server's store wrote to disk, and how long they took together.
type commits struct {
	n    float64
	took time.Duration
}

// instant is what the server and the machine have done so far.
type instant struct {
	at                   time.Time
	machine, server, own time.Duration // of processors
	commits              commits
}

// phase is what was done between two instants.
type phase struct {
	server, own, others float64 // of one processor
	commits             commits
}

// String says what figures of elapsed time depend on.
func (p phase) String() string {
	return fmt.Sprintf("processors: server %.2f, this %.2f, others %.2f · %.0f commits, %.1f ms each",
		p.server, p.own, p.others, p.commits.n, ms(p.commits.took)/max(p.commits.n, 1))
}

// now looks at the server and the machine.
func (s *server) now() (i instant, err error) {
	i.at = time.Now()
	if i.server, err = s.cpu(); err != nil {
		return i, err
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return i, err
	}
	i.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if i.machine, err = machineBusy(); err != nil {
		return i, err
	}
	i.commits, err = s.commits()
	return i, err
}

// since returns what was done since an instant.
func (s *server) since(was instant) (p phase, err error) {
	i, err := s.now()
	if err != nil {
		return p, err
	}
	took := i.at.Sub(was.at).Seconds()
	p.server, p.own = (i.server-was.server).Seconds()/took, (i.own-was.own).Seconds()/took
	p.others = max(0, (i.machine-was.machine).Seconds()/took-p.server-p.own)
	p.commits = commits{i.commits.n - was.commits.n, i.commits.took - was.commits.took}
	return p, nil
}

// processorTimes is what the processors of the machine have done: user, nice, system, idle, iowait, irq, softirq, steal.
func processorTimes() (times [8]time.Duration, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return times, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) <= len(times) {
		return times, errors.New("/proc/stat does not say what it should")
	}
	for i := range times {
		n, err := strconv.ParseInt(fields[1+i], 10, 64)
		if err != nil {
			return times, err
		}
		times[i] = time.Duration(n) * tick
	}
	return times, nil
}

// machineBusy is how long the processors of the machine have worked.
func machineBusy() (time.Duration, error) {
	t, err := processorTimes()
	return t[0] + t[1] + t[2] + t[5] + t[6], err
}

// stolenTime is how long the host has let others have the processors of the machine that had work to do, and how long all there was took.
func stolenTime() (stolen, all time.Duration, err error) {
	t, err := processorTimes()
	for _, part := range t {
		all += part
	}
	return t[7], all, err
}

// commits reads the server's metrics.
func (s *server) commits() (c commits, err error) {
	text, err := s.admin("/metrics")
	if err != nil {
		return c, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, "} ")
		if !strings.Contains(name, `op="commit"`) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return c, err
		}
		switch metric, _, _ := strings.Cut(name, "{"); metric {
		case "gatehouse_store_transaction_seconds_sum":
			c.took += time.Duration(number * float64(time.Second))
		case "gatehouse_store_transaction_seconds_count":
			c.n += number
		}
	}
	return c, nil
}
