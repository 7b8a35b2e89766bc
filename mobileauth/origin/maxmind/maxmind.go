// SPDX-License-Identifier: Apache-2.0

package maxmind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
)

const (
	// Interval is how often [File.Run] looks whether the file has changed.
	Interval = 10 * time.Second
	// MaxSize is how large a file may be, in bytes: several times what there is.
	MaxSize = 1 << 30
	// english is the language of names that are not known in another.
	english = "en"
)

// ErrFile is wrapped by what is wrong with a file.
var ErrFile = errors.New("location file")

// Config describes a file.
type Config struct {
	// Path is where the file is.
	Path string
	// Language is that of the names of regions and cities: de, en, es, fr, ja, pt-BR, ru or zh-CN in MaxMind's own files.
	// Default: English, which also stands for names that are not known in it.
	Language string
	// Changed is told that a new file is in use, or why it is not. It is optional.
	Changed func(ctx context.Context, err error)
}

// File is a file in use. It is an origin.Locator, and safe for concurrent use.
type File struct {
	config Config
	reader atomic.Pointer[maxminddb.Reader]

	reloading sync.Mutex
	// seen is what was last looked at, whether or not it was good.
	seen version
}

// version tells one file from another in its place.
type version struct {
	at   time.Time
	size int64
}

// Open reads and checks the file.
func Open(c Config) (*File, error) {
	c.Language = cmp.Or(c.Language, english)
	f := &File{config: c}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file if it is another than it was, and reports whether it is in use now. An error leaves in use what was.
func (f *File) Reload() (changed bool, err error) {
	f.reloading.Lock()
	defer f.reloading.Unlock()
	info, err := os.Stat(f.config.Path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrFile, err)
	}
	found := version{info.ModTime(), info.Size()}
	if found == f.seen {
		return false, nil
	}
	f.seen = found
	reader, err := read(f.config.Path)
	if err != nil {
		return false, fmt.Errorf("%w %s: %w", ErrFile, f.config.Path, err)
	}
	f.reader.Store(reader)
	return true, nil
}

// read returns a file that is whole.
func read(path string) (*maxminddb.Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxSize {
		return nil, fmt.Errorf("no file of at most %d bytes", MaxSize)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, err
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	return reader, reader.Verify()
}

// record is what is read of an entry.
type record struct {
	Country      names   `maxminddb:"country"`
	Subdivisions []names `maxminddb:"subdivisions"`
	City         names   `maxminddb:"city"`
}

type names struct {
	Code  string            `maxminddb:"iso_code"`
	Names map[string]string `maxminddb:"names"`
}

func (n names) in(language string) string { return cmp.Or(n.Names[language], n.Names[english]) }

// Locate looks an address up. One that is not in the file is an empty place.
func (f *File) Locate(_ context.Context, address netip.Addr) (origin.Place, error) {
	var found record
	if err := f.reader.Load().Lookup(address.Unmap()).Decode(&found); err != nil {
		return origin.Place{}, fmt.Errorf("%w: reading an entry: %w", ErrFile, err)
	}
	place := origin.Place{CountryCode: found.Country.Code, City: found.City.in(f.config.Language)}
	if len(found.Subdivisions) > 0 { // the largest is first
		place.Region = found.Subdivisions[0].in(f.config.Language)
	}
	return place, nil
}

// Run looks for a new file until ctx ends, and tells [Config].Changed what became of it: once for each file.
func (f *File) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	missing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := f.Reload()
		gone := errors.Is(err, os.ErrNotExist)
		if f.config.Changed != nil && (changed || err != nil && (!gone || !missing)) {
			f.config.Changed(ctx, err)
		}
		missing = gone
	}
}
