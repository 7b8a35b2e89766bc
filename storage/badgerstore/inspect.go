// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
	"google.golang.org/protobuf/proto"
)

// inventoryName is the file in which a store that was closed in order lists what it left behind.
const inventoryName = "gatehouse.closed"

// inventory is written last on closing and removed first on opening: while it is there, every file must be as long as it
// says. It tells a directory that was copied in part, or cut, from one that merely holds less, which Badger does not.
type inventory struct {
	Files map[string]int64 `json:"files"` // sizes by name
}

// inspect refuses a damaged directory before Badger opens it. Badger would end the process over some damage, and take a
// shortened list of tables for the truth and delete the others.
func inspect(dir string) error {
	orderly, err := checkInventory(dir)
	if err != nil {
		return err
	}
	if err := checkTables(dir, orderly); err != nil {
		return err
	}
	if err := removeStillborn(dir); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, inventoryName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("beginning to use the directory: %w", err)
	}
	return syncDir(dir)
}

// takeInventory lists Badger's files.
func takeInventory(dir string) (inventory, error) {
	taken := inventory{Files: map[string]int64{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return taken, err
	}
	for _, entry := range entries {
		if !engineFile(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return taken, err
		}
		taken.Files[entry.Name()] = info.Size()
	}
	return taken, nil
}

func writeInventory(dir string) error {
	taken, err := takeInventory(dir)
	if err != nil {
		return fmt.Errorf("taking the inventory: %w", err)
	}
	text, err := json.Marshal(taken)
	if err != nil {
		return fmt.Errorf("taking the inventory: %w", err)
	}
	return writeFile(dir, inventoryName, text)
}

// checkInventory compares the directory with what was left behind. Without an inventory there was no orderly end.
func checkInventory(dir string) (orderly bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, inventoryName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the inventory: %w", err)
	}
	var left inventory
	if err := json.Unmarshal(text, &left); err != nil {
		return false, damaged("file %s is not an inventory", inventoryName)
	}
	found, err := takeInventory(dir)
	if err != nil {
		return false, fmt.Errorf("comparing the inventory: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(left.Files)) {
		size, ok := found.Files[name]
		switch {
		case !ok:
			return false, damaged("file %s is missing", name)
		case size != left.Files[name]:
			return false, damaged("file %s has %d bytes instead of %d", name, size, left.Files[name])
		}
	}
	return true, nil
}

// checkTables looks at every table the manifest lists.
func checkTables(dir string, orderly bool) error {
	file, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) && !orderly {
		return checkVirgin(dir)
	}
	if err != nil {
		return fmt.Errorf("reading the list of tables: %w", err)
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return damaged("file %s is not readable: %v", badger.ManifestFilename, err)
	}
	budget := int64(verifyBytes)
	for _, id := range slices.Sorted(maps.Keys(manifest.Tables)) {
		if err := checkTable(table.NewFilename(id, dir), manifest.Tables[id].Compression, &budget); err != nil {
			return err
		}
	}
	return nil
}

// checkVirgin refuses tables without a list of them, which Badger would delete.
func checkVirgin(dir string) error {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return fmt.Errorf("looking for tables: %w", err)
	}
	if len(tables) > 0 {
		return damaged("file %s is missing", badger.ManifestFilename)
	}
	return nil
}

// verifyBytes is up to how many bytes of tables are read from end to end on opening, about a second's work. A damaged
// block beyond them is found when it is read; a scan ends at it.
const verifyBytes = 512 << 20

// checkTable checks a table's index, which Badger believes unseen, and its blocks while there is budget for them.
func checkTable(path string, compression options.CompressionType, budget *int64) (err error) {
	name := filepath.Base(path)
	defer func() {
		if recover() != nil {
			err = damaged("file %s is not readable: a block is damaged", name)
		}
	}()
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return damaged("file %s is missing", name)
	}
	if err != nil {
		return fmt.Errorf("opening a table: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("looking at a table: %w", err)
	}
	if err := checkIndex(file, info.Size()); err != nil {
		return damaged("file %s is not readable: %v", name, err)
	}
	if *budget -= info.Size(); *budget < 0 {
		return nil
	}
	if err := checkBlocks(path, compression); err != nil {
		return damaged("file %s is not readable: %v", name, err)
	}
	return nil
}

var errIndex = errors.New("its index is damaged")

// checkIndex follows a table's end backwards: the length of a checksum, the checksum, the length of the index, the index.
func checkIndex(file *os.File, end int64) error {
	sum, end, err := readBack(file, end)
	if err != nil {
		return err
	}
	var checksum pb.Checksum
	if err := proto.Unmarshal(sum, &checksum); err != nil {
		return errIndex
	}
	index, end, err := readBack(file, end)
	if err != nil {
		return err
	}
	if end == 0 || len(index) == 0 || y.VerifyChecksum(index, &checksum) != nil {
		return errIndex
	}
	return nil
}

// readBack reads what stands before end: bytes, then their number in four bytes.
func readBack(file *os.File, end int64) (data []byte, start int64, err error) {
	var length [4]byte
	if end < int64(len(length)) {
		return nil, 0, errIndex
	}
	end -= int64(len(length))
	if _, err := file.ReadAt(length[:], end); err != nil {
		return nil, 0, err
	}
	start = end - int64(binary.BigEndian.Uint32(length[:]))
	if start < 0 {
		return nil, 0, errIndex
	}
	data = make([]byte, end-start)
	_, err = file.ReadAt(data, start)
	return data, start, err
}

// checkBlocks opens a table as Badger does and compares every block with its checksum.
func checkBlocks(path string, compression options.CompressionType) error {
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	opened, err := table.OpenTable(file, table.Options{
		ReadOnly: true, Compression: compression, BlockSize: 4 << 10, ChkMode: options.OnBlockRead,
	})
	if err != nil {
		return err
	}
	return errors.Join(opened.VerifyChecksum(), opened.Close(-1))
}

// removeStillborn removes logs of no length: a process that was killed between making a log and giving it a size, or
// between emptying and removing it, leaves one, and Badger does not open a directory that has one.
func removeStillborn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	for _, entry := range entries {
		ext := filepath.Ext(entry.Name())
		info, err := entry.Info()
		if err != nil || info.Size() > 0 || ext != ".mem" && ext != ".vlog" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("removing an empty log: %w", err)
		}
	}
	return nil
}
