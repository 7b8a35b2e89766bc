// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gatehouse-id/gatehouse/storage"
)

// What a file is refused for. All but ErrForeign and ErrVersion say that it was whole once.
var (
	ErrForeign   = errors.New("this is no export of a store of Gatehouse's")
	ErrVersion   = errors.New("the export is of a newer release: use that one")
	ErrDamaged   = errors.New("the export is damaged: take another copy of it")
	ErrTruncated = errors.New("the export is cut off: take another copy of it")
	ErrUnproven  = errors.New("the export was not made with the sealing key, or was changed by somebody who does not have it")
)

const (
	magic   = "GHSTORE\n"
	version = 1

	frameHeader = 'H'
	frameChunk  = 'C'
	frameEnd    = 'E'

	// chunkBytes is how many bytes of items a chunk holds, but for the item that exceeds it.
	chunkBytes = 1 << 20
	maxChunk   = chunkBytes + storage.MaxKey + storage.MaxValue + 3*binary.MaxVarintLen64
	// maxBody is above what any chunk is compressed to, and maxText above any header.
	maxBody = 2 << 20
	maxText = 64 << 10
)

// Header says where an export comes from.
type Header struct {
	// ID is the export's own, drawn when it was made: by it an import that broke off is taken up again.
	ID string `json:"id"`
	// MadeAt is when the snapshot was taken.
	MadeAt time.Time `json:"made_at"`
	// Source is the engine that it was taken of, and Release the program that took it.
	Source  string `json:"source,omitempty"`
	Release string `json:"release,omitempty"`
	// Probe is a value that was sealed with the store's key, so that a wrong one is told before anything is written; see [Probe].
	Probe []byte `json:"probe,omitempty"`
	// Sealer, when set, seals the end of an export that is written, by which its reader knows that it is the work of somebody with the key.
	Sealer storage.Sealer `json:"-"`
}

// ending is what stands at the end: the totals, and the sum of all before, sealed.
type ending struct {
	Totals
	Proof []byte `json:"proof,omitempty"`
}

const proofLabel = "transfer/proof"

// Writer writes an export. It buffers a chunk at a time.
type Writer struct {
	to     io.Writer
	sum    [sha256.Size]byte
	pack   *zstd.Encoder
	chunk  []byte
	last   string
	count  *tally
	sealer storage.Sealer
}

// NewWriter begins an export.
func NewWriter(to io.Writer, header Header) (*Writer, error) {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, err
	}
	w := &Writer{to: to, pack: pack, count: newTally(), sealer: header.Sealer}
	if _, err := to.Write(binary.BigEndian.AppendUint16([]byte(magic), version)); err != nil {
		return nil, fmt.Errorf("writing the export: %w", err)
	}
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	return w, w.frame(frameHeader, text)
}

// Add writes the next item. Keys have to ascend.
func (w *Writer) Add(item storage.Item) error {
	if err := storage.CheckSize(item); err != nil {
		return err
	}
	if item.Key <= w.last {
		return fmt.Errorf("writing the export: the key %q comes after %q", item.Key, w.last)
	}
	w.last = item.Key
	w.chunk = appendItem(w.chunk, item)
	w.count.add(item)
	if len(w.chunk) < chunkBytes {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.chunk) == 0 {
		return nil
	}
	err := w.frame(frameChunk, w.pack.EncodeAll(w.chunk, nil))
	w.chunk = w.chunk[:0]
	return err
}

// Close ends the export: without its end it is refused. It closes nothing underneath.
func (w *Writer) Close() (Totals, error) {
	if err := w.flush(); err != nil {
		return Totals{}, err
	}
	end := ending{Totals: w.count.close()}
	if w.sealer != nil {
		var err error
		if end.Proof, err = w.sealer.Seal(proofLabel, w.sum[:]); err != nil {
			return Totals{}, fmt.Errorf("sealing the end of the export: %w", err)
		}
	}
	text, err := json.Marshal(end)
	if err != nil {
		return Totals{}, err
	}
	return end.Totals, w.frame(frameEnd, text)
}

func (w *Writer) frame(kind byte, body []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	w.sum = frameSum(w.sum, head, body)
	for _, part := range [][]byte{head, body, w.sum[:]} {
		if _, err := w.to.Write(part); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	return nil
}

func frameSum(before [sha256.Size]byte, head, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(before[:])
	h.Write(head)
	h.Write(body)
	h.Sum(sum[:0])
	return sum
}

// Reader reads an export. It believes nothing that it has not compared with its sum.
type Reader struct {
	// Header is what the export says of itself.
	Header Header
	// Sealer, when set, has to open what the end is sealed with, or that is [ErrUnproven]. Sums alone show what chance has done to a file:
	// whoever changes it on purpose writes them anew.
	Sealer storage.Sealer

	from   io.Reader
	sum    [sha256.Size]byte // of what was read
	before [sha256.Size]byte // the same, without the last frame
	unpack *zstd.Decoder
	last   string
	count  *tally
	totals *Totals // once the end was read
}

// NewReader reads the beginning of an export, and refuses with [ErrForeign], [ErrVersion], [ErrDamaged] or [ErrTruncated].
func NewReader(from io.Reader) (*Reader, error) {
	head := make([]byte, len(magic)+2)
	if _, err := io.ReadFull(from, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, ErrForeign
		}
		return nil, fmt.Errorf("reading the export: %w", err)
	}
	if string(head[:len(magic)]) != magic {
		return nil, ErrForeign
	}
	switch is := binary.BigEndian.Uint16(head[len(magic):]); {
	case is == 0:
		return nil, ErrForeign
	case is > version:
		return nil, fmt.Errorf("it is of version %d, this release reads up to %d: %w", is, version, ErrVersion)
	}
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return nil, err
	}
	r := &Reader{from: from, unpack: unpack, count: newTally()}
	kind, body, err := r.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader || json.Unmarshal(body, &r.Header) != nil {
		return nil, fmt.Errorf("it does not begin with its header: %w", ErrDamaged)
	}
	return r, nil
}

// Items yields the items. What comes after the last of them is the end of the export, or an error.
func (r *Reader) Items() iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		for r.totals == nil {
			items, err := r.next()
			if err != nil {
				yield(storage.Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Totals returns what the export says of its contents, once they were read to the end.
func (r *Reader) Totals() (totals Totals, whole bool) {
	if r.totals == nil {
		return r.count.totals, false
	}
	return *r.totals, true
}

// next returns the items of the next chunk; none at the end.
func (r *Reader) next() ([]storage.Item, error) {
	kind, body, err := r.frame()
	if err != nil {
		return nil, err
	}
	switch kind {
	case frameChunk:
		return r.open(body)
	case frameEnd:
		return nil, r.end(body)
	}
	return nil, fmt.Errorf("after %d items comes what no release writes: %w", r.count.totals.Items, ErrDamaged)
}

func (r *Reader) open(body []byte) (items []storage.Item, err error) {
	data, err := r.unpack.DecodeAll(body, nil)
	if err != nil || len(data) > maxChunk {
		return nil, fmt.Errorf("after %d items comes a part that does not unpack: %w", r.count.totals.Items, ErrDamaged)
	}
	for len(data) > 0 {
		var item storage.Item
		if item, data, err = cutItem(data); err != nil || item.Key <= r.last {
			return nil, fmt.Errorf("after %d items comes one that cannot be: %w", r.count.totals.Items, ErrDamaged)
		}
		r.last = item.Key
		r.count.add(item)
		items = append(items, item)
	}
	return items, nil
}

func (r *Reader) end(body []byte) error {
	var says ending
	if err := json.Unmarshal(body, &says); err != nil || says.Totals != r.count.close() {
		return fmt.Errorf("it holds %d items and says otherwise: %w", r.count.totals.Items, ErrDamaged)
	}
	if r.Sealer != nil {
		if sum, err := r.Sealer.Open(proofLabel, says.Proof); err != nil || !bytes.Equal(sum, r.before[:]) {
			return ErrUnproven
		}
	}
	var more [1]byte
	switch _, err := io.ReadFull(r.from, more[:]); {
	case err == nil:
		return fmt.Errorf("something follows its end: %w", ErrDamaged)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("reading the export: %w", err)
	}
	r.totals = &says.Totals
	return nil
}

func (r *Reader) frame() (kind byte, body []byte, err error) {
	var head [5]byte
	if err := r.read(head[:]); err != nil {
		return 0, nil, err
	}
	length, most := binary.BigEndian.Uint32(head[1:]), uint32(maxText)
	if head[0] == frameChunk {
		most = maxBody
	}
	if length > most {
		return 0, nil, fmt.Errorf("after %d items a part of %d bytes is announced: %w", r.count.totals.Items, length, ErrDamaged)
	}
	body = make([]byte, length)
	if err := r.read(body); err != nil {
		return 0, nil, err
	}
	var sum [sha256.Size]byte
	if err := r.read(sum[:]); err != nil {
		return 0, nil, err
	}
	r.before = r.sum
	if r.sum = frameSum(r.sum, head[:], body); r.sum != sum {
		return 0, nil, fmt.Errorf("a checksum after %d items is wrong: %w", r.count.totals.Items, ErrDamaged)
	}
	return head[0], body, nil
}

func (r *Reader) read(into []byte) error {
	_, err := io.ReadFull(r.from, into)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends after %d items: %w", r.count.totals.Items, ErrTruncated)
	}
	if err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	return nil
}
