% Golden files of Octave for the tests of matio: octave-cli make.m
[j, i] = meshgrid(0:3, 0:2);
real = (4 * i + j - 5) / 4;
f8 = 4 * i + j - 5;
f4 = single(f8); i1 = int8(f8); i4 = int32(f8); u2 = uint16(4 * i + j); logical34 = mod(i + j, 2) == 1;
[c, r, k] = meshgrid(0:2, 0:2, 0:1);
second = (9 * k + 3 * r + c - 7) / 4;
save('-v6', 'octave_v6.mat', 'real', 'second');
save('-v7', 'octave_v7.mat', 'real', 'second');
save('-v7', 'octave_types.mat', 'f8', 'f4', 'i1', 'i4', 'u2', 'logical34');
