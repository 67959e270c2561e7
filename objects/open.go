package objects

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"mainstem/backup"
)

// Where is how people name a place.
const Where = `WHERE is a directory, a file that ends in .tar, - for standard output or input, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azblob://CONTAINER/PREFIX.`

// Config is what a place may need beside its name.
type Config struct {
	// Stdin and Stdout are what - stands for.
	Stdin  io.Reader
	Stdout io.Writer
	// AzureConnection is the connection string of a storage account, which
	// AzureVariable holds. Only azblob:// needs it.
	AzureConnection string
}

// Place is a bucket and what is to be done with it at the end: done says that all
// went well.
type Place struct {
	backup.Bucket
	End func(done bool) error
}

// OpenForWriting opens the place for a new backup.
func OpenForWriting(where string, cfg Config) (Place, error) {
	switch {
	case where == "-":
		t := backup.NewTarWriter(cfg.Stdout, time.Now)
		return Place{t, func(done bool) error {
			if !done {
				return nil
			}
			return t.Close()
		}}, nil
	case strings.HasSuffix(where, ".tar"):
		return openArchiveForWriting(where)
	}
	return openPlace(where, cfg)
}

// OpenForReading opens a place with backups. Of standard input a copy is kept
// while it is read: a backup is read in another order than it was written.
func OpenForReading(where string, cfg Config) (Place, error) {
	switch {
	case where == "-":
		f, err := os.CreateTemp("", "mainstem-backup-*.tar")
		if err != nil {
			return Place{}, err
		}
		_, err = io.Copy(f, cfg.Stdin)
		if err := errors.Join(err, f.Close()); err != nil {
			return Place{}, errors.Join(err, os.Remove(f.Name()))
		}
		t, err := backup.OpenTar(f.Name())
		if err != nil {
			return Place{}, errors.Join(err, os.Remove(f.Name()))
		}
		return Place{t, func(bool) error { return errors.Join(t.Close(), os.Remove(f.Name())) }}, nil
	case strings.HasSuffix(where, ".tar"):
		t, err := backup.OpenTar(where)
		if err != nil {
			return Place{}, err
		}
		return Place{t, func(bool) error { return t.Close() }}, nil
	}
	return openPlace(where, cfg)
}

// openArchiveForWriting writes beside the archive's place, to which it moves when
// it is complete.
func openArchiveForWriting(path string) (Place, error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return Place{}, err
	}
	t := backup.NewTarWriter(f, time.Now)
	return Place{t, func(done bool) error {
		if !done {
			return errors.Join(f.Close(), os.Remove(f.Name()))
		}
		if err := errors.Join(t.Close(), f.Sync(), f.Close()); err != nil {
			return errors.Join(err, os.Remove(f.Name()))
		}
		return os.Rename(f.Name(), path)
	}}, nil
}

// openPlace opens what holds many backups.
func openPlace(where string, cfg Config) (Place, error) {
	kind, _, isURL := strings.Cut(where, "://")
	if !isURL {
		return Place{backup.Directory(where), nothingToEnd}, nil
	}
	u, err := url.Parse(where)
	if err != nil {
		return Place{}, err
	}
	var b backup.Bucket
	switch {
	case u.Host == "":
		return Place{}, errors.New("it names no bucket")
	case kind == "s3", kind == "gs":
		b, err = openS3(u)
	case kind == "azblob":
		b, err = openAzure(u, cfg.AzureConnection)
	default:
		err = fmt.Errorf("%s: is a kind of place that is not known. %s", kind, Where)
	}
	return Place{b, nothingToEnd}, err
}

func nothingToEnd(bool) error { return nil }
