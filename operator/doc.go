// Package operator is the operators' endpoints as both sides must know them: their
// paths, their parameters, and what travels.
//
//	GET     LivePath, StartPath, ReadyPath, HealthPath   how a node is, as text
//	GET     MetricsPath, below ProfilesPath              for tools of others
//	GET     StatusPath, MembersPath                      cluster.Status, its members
//	DELETE  MembersPath/NODE                             nothing
//	POST    JoinPath, TransferPath                       Change
//	GET     KeyringPath                                  a list of cluster.NodeKeys
//	POST    KeyringPath                                  cluster.KeyChange
//	POST    RotateKeyPath                                nothing
//	POST    BackupPath?ParamBaseCluster&ParamBaseIndex   the table of a base; answered by what backup.Send writes
//	POST    BackupDonePath                               storage.LastBackup
//	GET     ConfigPath                                   Config
//	GET     LogPath?ParamLines                           lines of JSON, and LinesBeforeHeader
//	GET     ChecksumPath                                 the sum of a copy, for tests
//
// It knows neither who serves them nor who asks, and no HTTP: it is words.
package operator
