package main

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

const whereDoc = `WHERE is a directory, a file that ends in .tar, - for standard output or input, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azblob://CONTAINER/PREFIX.`

// openedBucket is a bucket and what is to be done with it at the end: done says that
// all went well.
type openedBucket struct {
	backup.Bucket
	end func(done bool) error
}

// openForWriting opens the place for a new backup.
func openForWriting(where string, environ []string, stdout io.Writer) (openedBucket, error) {
	switch {
	case where == "-":
		t := backup.NewTarWriter(stdout, time.Now)
		return openedBucket{t, func(done bool) error {
			if !done {
				return nil
			}
			return t.Close()
		}}, nil
	case strings.HasSuffix(where, ".tar"):
		return openArchiveForWriting(where)
	}
	return openPlace(where, environ)
}

// openArchiveForWriting writes beside the archive's place, to which it moves when
// it is complete.
func openArchiveForWriting(path string) (openedBucket, error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return openedBucket{}, err
	}
	t := backup.NewTarWriter(f, time.Now)
	return openedBucket{t, func(done bool) error {
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
func openPlace(where string, environ []string) (openedBucket, error) {
	kind, _, isURL := strings.Cut(where, "://")
	if !isURL {
		return openedBucket{backup.Directory(where), nothingToEnd}, nil
	}
	u, err := url.Parse(where)
	if err != nil {
		return openedBucket{}, err
	}
	var b backup.Bucket
	switch {
	case u.Host == "":
		return openedBucket{}, errors.New("it names no bucket")
	case kind == "s3", kind == "gs":
		b, err = openS3(u)
	case kind == "azblob":
		b, err = openAzure(u, variable(environ, azureName))
	default:
		err = fmt.Errorf("%s: is a kind of place that is not known. %s", kind, whereDoc)
	}
	return openedBucket{b, nothingToEnd}, err
}

func nothingToEnd(bool) error { return nil }

// openForReading opens a place with backups. Of standard input a copy is kept
// while it is read: a backup is read in another order than it was written.
func openForReading(where string, environ []string, stdin io.Reader) (openedBucket, error) {
	switch {
	case where == "-":
		f, err := os.CreateTemp("", "mainstem-backup-*.tar")
		if err != nil {
			return openedBucket{}, err
		}
		_, err = io.Copy(f, stdin)
		if err := errors.Join(err, f.Close()); err != nil {
			return openedBucket{}, errors.Join(err, os.Remove(f.Name()))
		}
		t, err := backup.OpenTar(f.Name())
		if err != nil {
			return openedBucket{}, errors.Join(err, os.Remove(f.Name()))
		}
		return openedBucket{t, func(bool) error { return errors.Join(t.Close(), os.Remove(f.Name())) }}, nil
	case strings.HasSuffix(where, ".tar"):
		t, err := backup.OpenTar(where)
		if err != nil {
			return openedBucket{}, err
		}
		return openedBucket{t, func(bool) error { return t.Close() }}, nil
	}
	return openPlace(where, environ)
}
