// Package learn holds what sets of SPD matrices are most often put through before and after a classifier, in any metric of manifold.Metrics:
// TangentSpace maps matrices to vectors that keep distances to first order (and back), Alignment moves the data of several sessions or subjects to a common
// centre, KMeans finds groups, Potato tells outliers, Neighbours classifies by the nearest examples, PrincipalAxes finds the directions in which matrices
// vary, CommonSpatialPatterns finds the linear combinations of the variables whose variances tell classes apart. Distances and Kernel are the tables that
// other software asks for.
//
// Everything is computed once for all matrices and kept; what was learnt applies to new matrices. Nothing here is safe for concurrent use.
package learn
