// SPDX-License-Identifier: Apache-2.0

package pgdsn

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Parse reads a connection string, as a URL or as words. It refuses one by which a host elsewhere may be spoken to in the clear or not:
// sslmode=prefer, the default, leaves that to whoever answers, who then asks for the password. An error repeats nothing of the text, in
// which a password may stand anywhere when it cannot be read.
func Parse(dsn string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, illegible(err)
	}
	if host, found := Wavering(config.ConnConfig); found {
		return nil, fmt.Errorf("the connection string leaves open whether %s is spoken to in the clear: add sslmode=verify-full", host)
	}
	return config, nil
}

// faults are what may be wrong with a connection string, in words of the driver that hold nothing of it.
var faults = []string{
	"failed to parse as URL", "failed to parse as keyword/value", "failed to read service", "invalid connect_timeout", "invalid port",
	"failed to configure TLS", "unknown target_session_attrs value", "unknown channel_binding value", "invalid require_auth",
}

func illegible(err error) error {
	cause := ""
	for _, fault := range faults {
		if strings.Contains(err.Error(), fault) {
			cause = ": " + fault
		}
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok { // of a certificate, which is looked for once all else was read
		cause += ": " + file.Error()
	}
	return errors.New("this is no connection string of PostgreSQL's" + cause)
}

// Wavering returns a host elsewhere that is tried both with TLS and without.
func Wavering(config *pgx.ConnConfig) (host string, found bool) {
	secure, plain := map[string]bool{config.Host: config.TLSConfig != nil}, map[string]bool{config.Host: config.TLSConfig == nil}
	for _, f := range config.Fallbacks {
		secure[f.Host], plain[f.Host] = secure[f.Host] || f.TLSConfig != nil, plain[f.Host] || f.TLSConfig == nil
	}
	hosts := Hosts(config)
	at := slices.IndexFunc(hosts, func(host string) bool { return !local(host) && secure[host] && plain[host] })
	if at < 0 {
		return "", false
	}
	return hosts[at], true
}

// Hosts returns the hosts that are tried, each once, in their order.
func Hosts(config *pgx.ConnConfig) []string {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		if !slices.Contains(hosts, f.Host) {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}

// local reports whether a host is a socket or this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || ip != nil && ip.IsLoopback()
}
